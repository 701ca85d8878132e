//! A key whose hash is always the same: everything collides, nothing is confused.

use weir_window::{
    Arena, Budget, EventTime, Fold, HashSeed, Key, KeyColumn, Owner, OwnerPoll, Rows, WindowSpec, counting, millis,
};

struct Clashing(u64);

struct ClashingColumn(<u64 as Key>::Column);

impl Key for Clashing {
    type Owned = u64;
    type Column = ClashingColumn;

    fn hash(&self, _: &HashSeed) -> u64 {
        77
    }
    fn is(&self, owned: &Self::Owned) -> bool {
        self.0 == *owned
    }

    fn to_owned_key(&self) -> u64 {
        self.0
    }
}

impl KeyColumn<Clashing> for ClashingColumn {
    fn new_in(arena: &Arena, capacity: usize) -> Self {
        Self(KeyColumn::<u64>::new_in(arena, capacity))
    }
    fn push(&mut self, arena: &Arena, key: &Clashing) {
        self.0.push(arena, &key.0);
    }
    fn matches(&self, arena: &Arena, position: usize, key: &Clashing) -> bool {
        self.0.matches(arena, position, &key.0)
    }
    fn matches_owned(&self, arena: &Arena, position: usize, owned: &u64) -> bool {
        self.0.matches_owned(arena, position, owned)
    }
    fn owned(&self, arena: &Arena, position: usize) -> u64 {
        self.0.owned(arena, position)
    }
}

#[test]
fn keys_whose_hashes_collide_are_told_apart() {
    let spec = WindowSpec::sliding(millis(20), millis(10)).expect("valid");
    let (seed, count) = (HashSeed::new(1), counting());
    let mut fold = Fold::<Clashing, u64>::new(spec, seed, 2);
    let mut owner = Owner::<Clashing, u64>::new(spec, None);
    for t in 0..100_u64 {
        for key in 0..=t % 30 {
            let time = EventTime::from_millis(t.cast_signed());
            fold.accumulate(&count, time, &Clashing(key), &());
        }
        fold.hand_over_all(&mut |to, block| {
            assert_eq!(to, 0);
            drop(owner.combine::<(), _>(&count, block));
        });
    }
    owner.advance(EventTime::MAX);
    let (mut rows, mut sum) = (Rows::new(), 0);
    while owner.poll::<(), _>(&count, &mut Budget::of(1_000), &mut rows) == OwnerPoll::Emitted {
        sum += rows.drain().map(|(key, count)| count * (key + 1)).sum::<u64>();
    }
    let expected: u64 = (0..100_u64).map(|t| (0..=t % 30).map(|key| key + 1).sum::<u64>()).sum();
    assert_eq!((sum, owner.keys()), (2 * expected, 0));
}
