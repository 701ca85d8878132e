//! Labels, by stream or by ARN.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::super::request::{Text, plain};
use super::super::value::Map;
use super::{Answer, Call, Refusal, missing_if, required};
use crate::local::model::Model;

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfStream<'a> {
    #[serde(borrow)]
    stream_name: Option<Text<'a>>,
    #[serde(rename = "StreamARN", borrow)]
    stream_arn: Option<Text<'a>>,
    tags: Option<BTreeMap<String, String>>,
    tag_keys: Option<Vec<String>>,
    #[serde(borrow)]
    exclusive_start_tag_key: Option<Text<'a>>,
    limit: Option<i64>,
}

pub fn add_tags<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: OfStream<'_> = call.read()?;
    missing_if([("tags", request.tags.is_none())])?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    model.add_tags(call.now_ms, stream, request.tags.unwrap_or_default())?;
    Ok(Answer::Empty)
}

pub fn remove_tags<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: OfStream<'_> = call.read()?;
    missing_if([("tagKeys", request.tag_keys.is_none())])?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    model.remove_tags(call.now_ms, stream, &request.tag_keys.unwrap_or_default())?;
    Ok(Answer::Empty)
}

pub fn list_tags<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: OfStream<'_> = call.read()?;
    let stream = model.stream_name(plain(&request.stream_name), plain(&request.stream_arn))?;
    let page = model.list_tags(call.now_ms, stream, plain(&request.exclusive_start_tag_key), request.limit)?;
    Ok(Map::new().with("Tags", shown(page.tags)).with("HasMoreTags", page.has_more_tags).into())
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "PascalCase")]
struct OfResource<'a> {
    #[serde(rename = "ResourceARN", borrow)]
    resource_arn: Option<Text<'a>>,
    tags: Option<BTreeMap<String, String>>,
    tag_keys: Option<Vec<String>>,
}

pub fn tag_resource<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: OfResource<'_> = call.read()?;
    missing_if([("tags", request.tags.is_none()), ("resourceARN", request.resource_arn.is_none())])?;
    let arn = plain(&request.resource_arn).unwrap_or_default();
    model.tag_resource(call.now_ms, arn, request.tags.unwrap_or_default())?;
    Ok(Answer::Empty)
}

pub fn untag_resource<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: OfResource<'_> = call.read()?;
    missing_if([("tagKeys", request.tag_keys.is_none()), ("resourceARN", request.resource_arn.is_none())])?;
    let arn = plain(&request.resource_arn).unwrap_or_default();
    model.untag_resource(call.now_ms, arn, &request.tag_keys.unwrap_or_default())?;
    Ok(Answer::Empty)
}

pub fn list_tags_of_resource<'m>(model: &'m mut Model, call: &Call<'_>) -> Result<Answer<'m>, Refusal> {
    let request: OfResource<'_> = call.read()?;
    let [arn] = required([("resourceARN", plain(&request.resource_arn))])?;
    Ok(Map::new().with("Tags", shown(model.list_tags_of_resource(call.now_ms, arn)?)).into())
}

fn shown(tags: Vec<(String, String)>) -> Vec<Map> {
    tags.into_iter().map(|(key, value)| Map::new().with("Key", key).with("Value", value)).collect()
}
