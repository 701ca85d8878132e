//! Which worker reads which shard: once for the whole process, the least loaded worker first.

use std::collections::HashMap;
use std::sync::Arc;

use weir_window::ShardName;

/// The process's assignments. A shard that several jobs read is read on one worker, so that the service's limits on
/// it are shared there without a lock.
#[derive(Debug)]
pub struct Assignments {
    /// Shards that each worker reads, counted once a job.
    loads: Vec<usize>,
    known: HashMap<(Arc<str>, ShardName), Known>,
}

#[derive(Debug)]
struct Known {
    worker: usize,
    readers: usize,
}

impl Assignments {
    /// Of a process with so many workers.
    pub fn new(worker_count: usize) -> Assignments {
        Assignments { loads: vec![0; worker_count], known: HashMap::new() }
    }

    /// The worker that reads this shard, from now on once more. An empty stream is some job's alone.
    pub fn assign(&mut self, stream: &Arc<str>, shard: &ShardName) -> usize {
        let least = (0..self.loads.len()).min_by_key(|worker| self.loads[*worker]).expect("a node has workers");
        let worker = if stream.is_empty() {
            least
        } else {
            let known = self.known.entry((stream.clone(), shard.clone()));
            let known = known.or_insert(Known { worker: least, readers: 0 });
            known.readers += 1;
            known.worker
        };
        self.loads[worker] += 1;
        worker
    }

    /// One reader less.
    pub fn release(&mut self, stream: &Arc<str>, shard: &ShardName, worker: usize) {
        self.loads[worker] -= 1;
        let key = (stream.clone(), shard.clone());
        if let Some(known) = self.known.get_mut(&key) {
            known.readers -= 1;
            if known.readers == 0 {
                let _ = self.known.remove(&key);
            }
        }
    }
}

/// The owners of a job: as many as wanted (open shards, or one where there is one group), but at least one and at most
/// all workers; those that read come first.
pub fn owners(worker_count: usize, wanted: usize, readers: &[usize]) -> Arc<[usize]> {
    let count = wanted.clamp(1, worker_count);
    let mut owners: Vec<usize> = (0..worker_count).collect();
    owners.sort_by_key(|worker| (!readers.contains(worker), *worker));
    owners.truncate(count);
    owners.sort_unstable();
    owners.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shard(index: usize) -> ShardName {
        format!("shardId-{index:012}").into()
    }

    #[test]
    fn shards_spread_over_the_least_loaded_workers() {
        let mut assignments = Assignments::new(3);
        let stream: Arc<str> = "arn".into();
        let workers: Vec<usize> = (0..5).map(|index| assignments.assign(&stream, &shard(index))).collect();
        assert_eq!(workers, [0, 1, 2, 0, 1]);
    }

    #[test]
    fn second_job_reads_a_shard_where_the_first_does() {
        let mut assignments = Assignments::new(2);
        let stream: Arc<str> = "arn".into();
        let first = assignments.assign(&stream, &shard(0));
        let again = assignments.assign(&stream, &shard(0));
        assert_eq!(first, again);
        assignments.release(&stream, &shard(0), first);
        assert_eq!(assignments.assign(&stream, &shard(0)), first, "still read by one job");
    }

    #[test]
    fn released_shard_is_forgotten() {
        let mut assignments = Assignments::new(2);
        let stream: Arc<str> = "arn".into();
        let worker = assignments.assign(&stream, &shard(0));
        assignments.release(&stream, &shard(0), worker);
        assert_eq!((assignments.loads, assignments.known.len()), (vec![0, 0], 0));
    }

    #[test]
    fn owners_are_as_many_as_open_shards_and_read_if_they_can() {
        assert_eq!(*owners(4, 2, &[3, 1]), [1, 3]);
        assert_eq!(*owners(2, 16, &[0, 1]), [0, 1]);
        assert_eq!(*owners(4, 0, &[]), [0]);
        assert_eq!(*owners(3, 2, &[2]), [0, 2]);
    }
}
