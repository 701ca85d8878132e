//! Registered consumers of enhanced fan-out: RegisterStreamConsumer and the calls about it.
//!
//! A consumer is CREATING, then ACTIVE, then DELETING, then gone, each for as long as a stream is.

use serde::{Deserialize, Serialize};

use super::tags::{Tags, add, check_tags};
use super::token::ListToken;
use super::validation::{LISTING_LIMIT_MAX, Violations};
use super::{Context, ErrorCode, Model, ModelError, ShardId, invalid};

/// Consumers of one stream, and how many of them may be CREATING (API reference, RegisterStreamConsumer).
const CONSUMERS_MAX: usize = 20;
const CREATING_MAX: usize = 5;
/// Consumers that ListStreamConsumers gives at most in one answer, and unless told otherwise.
const PAGE: usize = 100;

/// Where a consumer stands in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ConsumerStatus {
    /// Being made.
    Creating,
    /// May subscribe.
    Active,
    /// Going away.
    Deleting,
}

impl ConsumerStatus {
    /// The service's word for it.
    pub const fn name(self) -> &'static str {
        match self {
            ConsumerStatus::Creating => "CREATING",
            ConsumerStatus::Active => "ACTIVE",
            ConsumerStatus::Deleting => "DELETING",
        }
    }
}

/// What is known of a consumer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConsumerDescription {
    /// Its name.
    pub name: String,
    /// Its ARN, which ends with the second in which it was made.
    pub arn: String,
    /// Where it stands.
    pub status: ConsumerStatus,
    /// When it was made, ms since the epoch.
    pub created_ms: i64,
    /// The ARN of its stream.
    pub stream_arn: String,
}

/// How a call names a consumer.
#[derive(Clone, Copy, Debug)]
pub enum ConsumerName<'a> {
    /// By its own ARN.
    Arn(&'a str),
    /// By its stream's ARN and its name.
    Of {
        /// The stream's ARN.
        stream_arn: &'a str,
        /// The consumer's name.
        name: &'a str,
    },
}

/// One page of consumers, by name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ListConsumersAnswer {
    /// The consumers.
    pub consumers: Vec<ConsumerDescription>,
    /// If there are more: how to go on, for five minutes.
    pub next_token: Option<String>,
}

#[derive(Debug, Serialize, Deserialize)]
pub(super) struct Consumer {
    pub arn: String,
    pub created_ms: i64,
    pub active_from_ms: i64,
    pub gone_at_ms: Option<i64>,
    pub tags: Tags,
}

impl Consumer {
    fn status(&self, now_ms: i64) -> ConsumerStatus {
        if self.gone_at_ms.is_some() {
            ConsumerStatus::Deleting
        } else if now_ms < self.active_from_ms {
            ConsumerStatus::Creating
        } else {
            ConsumerStatus::Active
        }
    }

    fn describe(&self, name: &str, stream_arn: &str, now_ms: i64) -> ConsumerDescription {
        ConsumerDescription {
            name: name.to_owned(),
            arn: self.arn.clone(),
            status: self.status(now_ms),
            created_ms: self.created_ms,
            stream_arn: stream_arn.to_owned(),
        }
    }
}

impl Model {
    /// RegisterStreamConsumer: ACTIVE once `create_delay_ms` have passed.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`; `ResourceInUseException` if the name is taken or the stream
    /// is not ACTIVE; `LimitExceededException` beyond 20 consumers or five in creation.
    pub fn register_consumer(
        &mut self,
        now_ms: i64,
        stream_arn: &str,
        name: &str,
        tags: Option<Tags>,
    ) -> Result<ConsumerDescription, ModelError> {
        let now_ms = self.advance(now_ms);
        let mut violations = Violations::new();
        violations.name("consumerName", name);
        tags.iter().for_each(|tags| check_tags(&mut violations, tags));
        violations.finish()?;
        let active_from_ms = now_ms.saturating_add(self.settings.create_delay_ms);
        let stream = self.stream_name(None, Some(stream_arn))?;
        let (found, cx) = self.stream_mut(stream)?;
        if !found.is_usable(now_ms) {
            found.active(now_ms, cx)?;
        }
        if found.consumers.contains_key(name) {
            let message = format!("Consumer {name}, account {} already exists.", cx.account);
            return Err(ModelError::new(ErrorCode::ResourceInUse, message));
        }
        let creating = found.consumers.values().filter(|c| c.status(now_ms) == ConsumerStatus::Creating).count();
        if found.consumers.len() >= CONSUMERS_MAX || creating >= CREATING_MAX {
            let message = format!(
                "Stream {stream} under account {} may have {CONSUMERS_MAX} consumers, {CREATING_MAX} of them in the \
                 CREATING state.",
                cx.account
            );
            return Err(ModelError::new(ErrorCode::LimitExceeded, message));
        }
        let mut kept = Tags::new();
        let arn = format!("{}/consumer/{name}:{}", found.arn, now_ms.div_euclid(1_000));
        add(&mut kept, tags.unwrap_or_default(), &format!("resource {arn}"), cx)?;
        let consumer = Consumer { arn, created_ms: now_ms, active_from_ms, gone_at_ms: None, tags: kept };
        let described = consumer.describe(name, &found.arn, now_ms);
        found.consumers.insert(name.into(), consumer);
        Ok(described)
    }

    /// DeregisterStreamConsumer: gone once `delete_delay_ms` have passed.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`.
    pub fn deregister_consumer(&mut self, now_ms: i64, name: ConsumerName<'_>) -> Result<(), ModelError> {
        let gone_at_ms = self.advance(now_ms).saturating_add(self.settings.delete_delay_ms);
        self.consumer_mut(now_ms, name)?.gone_at_ms = Some(gone_at_ms);
        let _ = self.advance(now_ms);
        Ok(())
    }

    /// DescribeStreamConsumer.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`.
    pub fn describe_consumer(
        &mut self,
        now_ms: i64,
        name: ConsumerName<'_>,
    ) -> Result<ConsumerDescription, ModelError> {
        let now_ms = self.advance(now_ms);
        let consumer = self.consumer_mut(now_ms, name)?;
        let (stream_arn, rest) = consumer.arn.split_once("/consumer/").expect("made of these parts");
        let name = rest.rsplit_once(':').map_or(rest, |(name, _)| name);
        Ok(consumer.describe(name, stream_arn, now_ms))
    }

    /// ListStreamConsumers: at most 100 an answer, by name.
    ///
    /// # Errors
    /// `ValidationException`; `ResourceNotFoundException`; `InvalidArgumentException` for a token that is not ours;
    /// `ExpiredNextTokenException`.
    pub fn list_consumers(
        &mut self,
        now_ms: i64,
        stream_arn: &str,
        max_results: Option<i64>,
        next_token: Option<&str>,
    ) -> Result<ListConsumersAnswer, ModelError> {
        let now_ms = self.advance(now_ms);
        let mut violations = Violations::new();
        violations.range("maxResults", max_results, 1, LISTING_LIMIT_MAX);
        violations.finish()?;
        let seed = self.token_seed;
        let stream = self.stream_name(None, Some(stream_arn))?;
        let (found, _) = self.look_up(stream)?;
        let after = next_token.map(|token| {
            let token = ListToken::open(ListToken::CONSUMERS, seed, token)
                .filter(|token| token.stream == stream && token.generation == found.generation)
                .ok_or_else(|| invalid("Invalid NextToken."))?;
            super::list::not_expired(&token, now_ms)?;
            Ok::<_, ModelError>(token.filter)
        });
        let after = after.transpose()?;
        let rest = found.consumers.iter().filter(|(name, _)| after.as_deref().is_none_or(|after| &***name > after));
        let (page, more) = super::list::page(rest, max_results, PAGE);
        let next_token = page.last().filter(|_| more).map(|(name, _)| {
            let token = ListToken {
                issued_ms: now_ms,
                generation: found.generation,
                after: ShardId::new(0),
                filter: name.to_string(),
                stream: stream.to_owned(),
            };
            token.seal(ListToken::CONSUMERS, seed)
        });
        let consumers = page.iter().map(|(name, consumer)| consumer.describe(name, &found.arn, now_ms)).collect();
        Ok(ListConsumersAnswer { consumers, next_token })
    }

    pub(super) fn consumer_mut(&mut self, now_ms: i64, name: ConsumerName<'_>) -> Result<&mut Consumer, ModelError> {
        let _ = self.advance(now_ms);
        let (stream_arn, name, arn) = match name {
            ConsumerName::Of { stream_arn, name } => (stream_arn, name, None),
            ConsumerName::Arn(arn) => {
                let parts = arn.split_once("/consumer/");
                let parts = parts.and_then(|(stream, rest)| Some((stream, rest.rsplit_once(':')?.0)));
                let Some((stream_arn, name)) = parts else {
                    let mut violations = Violations::new();
                    violations.pattern(
                        "consumerARN",
                        arn,
                        "^(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+",
                    );
                    return Err(violations.finish().expect_err("one violation"));
                };
                (stream_arn, name, Some(arn))
            }
        };
        let mut violations = Violations::new();
        violations.name("consumerName", name);
        violations.finish()?;
        let stream = self.stream_name(None, Some(stream_arn))?;
        let (found, cx) = self.stream_mut(stream)?;
        let consumer = found.consumers.get_mut(name).filter(|consumer| arn.is_none_or(|arn| consumer.arn == arn));
        consumer.ok_or_else(|| no_consumer(name, cx))
    }
}

fn no_consumer(name: &str, cx: Context<'_>) -> ModelError {
    let message = format!("Consumer {name}, account {} not found.", cx.account);
    ModelError::new(ErrorCode::ResourceNotFound, message)
}
