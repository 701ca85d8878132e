//! Labels of streams and consumers: AddTagsToStream, RemoveTagsFromStream, ListTagsForStream and the calls by ARN.

use std::collections::BTreeMap;

use super::validation::Violations;
use super::{Context, Model, ModelError, invalid};

/// Labels of one stream or consumer (developer guide, Tag your resources).
const TAGS_MAX: usize = 50;
const KEY_CHARS_MAX: usize = 128;
const VALUE_CHARS_MAX: usize = 256;
/// Labels in one call, by its stated constraint.
const TAGS_IN_CALL_MAX: usize = 200;
const KEYS_IN_CALL_MAX: usize = 50;
/// Labels that ListTagsForStream gives at most.
const PAGE: i64 = 50;

/// Labels by key.
pub type Tags = BTreeMap<String, String>;

/// One page of labels, by key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TagsPage {
    /// The labels.
    pub tags: Vec<(String, String)>,
    /// Are there more behind them?
    pub has_more_tags: bool,
}

impl Model {
    /// AddTagsToStream: puts labels on, in place of those of the same key.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`; `InvalidArgumentException` for more than 50 in all and for
    /// characters or keys that the service keeps to itself.
    pub fn add_tags(&mut self, now_ms: i64, stream: &str, tags: Tags) -> Result<(), ModelError> {
        let mut violations = Violations::new();
        check_tags(&mut violations, &tags);
        violations.name("streamName", stream);
        violations.finish()?;
        let _ = self.advance(now_ms);
        let (found, cx) = self.stream_mut(stream)?;
        add(&mut found.tags, tags, &format!("stream {stream}"), cx)
    }

    /// RemoveTagsFromStream: takes labels off; those that are not there do no harm.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`.
    pub fn remove_tags(&mut self, now_ms: i64, stream: &str, keys: &[String]) -> Result<(), ModelError> {
        let mut violations = Violations::new();
        check_keys(&mut violations, keys);
        violations.name("streamName", stream);
        violations.finish()?;
        let _ = self.advance(now_ms);
        let (found, _) = self.stream_mut(stream)?;
        found.tags.retain(|key, _| !keys.contains(key));
        Ok(())
    }

    /// ListTagsForStream: by key, at most 50.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`.
    pub fn list_tags(
        &mut self,
        now_ms: i64,
        stream: &str,
        after: Option<&str>,
        limit: Option<i64>,
    ) -> Result<TagsPage, ModelError> {
        let mut violations = Violations::new();
        violations.range("limit", limit, 1, PAGE);
        after.inspect(|key| violations.characters("exclusiveStartTagKey", key, 1, KEY_CHARS_MAX));
        violations.name("streamName", stream);
        violations.finish()?;
        let _ = self.advance(now_ms);
        let (found, _) = self.look_up(stream)?;
        let count = usize::try_from(limit.unwrap_or(PAGE)).expect("within 1..=50");
        let mut rest = found.tags.iter().filter(|(key, _)| after.is_none_or(|after| key.as_str() > after));
        let tags = rest.by_ref().take(count).map(|(key, value)| (key.clone(), value.clone())).collect();
        Ok(TagsPage { tags, has_more_tags: rest.next().is_some() })
    }

    /// TagResource: as AddTagsToStream, for the ARN of a stream or a consumer.
    ///
    /// # Errors
    /// As [`Model::add_tags`].
    pub fn tag_resource(&mut self, now_ms: i64, arn: &str, tags: Tags) -> Result<(), ModelError> {
        let mut violations = Violations::new();
        check_tags(&mut violations, &tags);
        violations.finish()?;
        let account = self.settings.account.clone();
        let present = self.tags_of(now_ms, arn)?;
        add(present, tags, &format!("resource {arn}"), Context { account: &account })
    }

    /// UntagResource: as RemoveTagsFromStream, for the ARN of a stream or a consumer.
    ///
    /// # Errors
    /// As [`Model::remove_tags`].
    pub fn untag_resource(&mut self, now_ms: i64, arn: &str, keys: &[String]) -> Result<(), ModelError> {
        let mut violations = Violations::new();
        check_keys(&mut violations, keys);
        violations.finish()?;
        self.tags_of(now_ms, arn)?.retain(|key, _| !keys.contains(key));
        Ok(())
    }

    /// ListTagsForResource: all labels of the stream or consumer with this ARN, by key.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`.
    pub fn list_tags_of_resource(&mut self, now_ms: i64, arn: &str) -> Result<Vec<(String, String)>, ModelError> {
        Ok(self.tags_of(now_ms, arn)?.clone().into_iter().collect())
    }

    fn tags_of(&mut self, now_ms: i64, arn: &str) -> Result<&mut Tags, ModelError> {
        if arn.contains("/consumer/") {
            return Ok(&mut self.consumer_mut(now_ms, super::ConsumerName::Arn(arn))?.tags);
        }
        let _ = self.advance(now_ms);
        if super::take_arn_apart(arn).is_none() {
            let mut violations = Violations::new();
            violations.pattern("resourceARN", arn, "arn:aws.*:kinesis:.*:\\d{12}:.*(stream|channel|queue)/\\S+");
            violations.finish()?;
        }
        let stream = self.stream_name(None, Some(arn))?;
        Ok(&mut self.stream_mut(stream)?.0.tags)
    }
}

/// The stated constraints of labels given in a call.
pub(super) fn check_tags(violations: &mut Violations, tags: &Tags) {
    violations.members("tags", &format!("{{{} tags}}", tags.len()), tags.len(), 1, TAGS_IN_CALL_MAX);
    for (key, value) in tags {
        violations.characters("tags", key, 1, KEY_CHARS_MAX);
        violations.characters(&format!("tags.{key}.member"), value, 0, VALUE_CHARS_MAX);
    }
}

fn check_keys(violations: &mut Violations, keys: &[String]) {
    violations.members("tagKeys", &format!("[{} keys]", keys.len()), keys.len(), 1, KEYS_IN_CALL_MAX);
    for (i, key) in keys.iter().enumerate() {
        violations.characters(&format!("tagKeys.{}.member", i + 1), key, 1, KEY_CHARS_MAX);
    }
}

/// Adds all, or none with the reason.
pub(super) fn add(present: &mut Tags, tags: Tags, what: &str, cx: Context<'_>) -> Result<(), ModelError> {
    let refuse =
        |why: &str| Err(invalid(format!("Failed to add tags to {what} under account {} because {why}", cx.account)));
    let allowed = |c: char| c.is_alphanumeric() || c.is_whitespace() || "_.:/=+-@".contains(c);
    if tags.iter().any(|(key, value)| !key.chars().chain(value.chars()).all(allowed)) {
        return refuse(
            "some tags contained illegal characters. The allowed characters are Unicode letters, white-spaces, \
             '_',',','/','=','+','-','@'.",
        );
    }
    if tags.keys().any(|key| key.get(..4).is_some_and(|head| head.eq_ignore_ascii_case("aws:"))) {
        return refuse("some tag keys begin with aws:, which is reserved.");
    }
    if tags.keys().filter(|key| !present.contains_key(*key)).count() + present.len() > TAGS_MAX {
        return refuse(&format!("a given resource cannot have more than {TAGS_MAX} tags associated with it."));
    }
    present.extend(tags);
    Ok(())
}
