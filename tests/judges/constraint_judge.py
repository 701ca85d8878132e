"""Every constraint that the service's own model states, broken once, and met at its very bound.

    constraint_judge.py ENDPOINT_URL

Takes the model from botocore, begins with a request that is good for each operation, breaks one constraint of one
member at a time (absent, too short, too long, too small, too large, no such word, not of the pattern), and expects a
ValidationException that names the member. What is just short or long, small or large enough must not be refused for
that: it gets no ValidationException, whatever else is said of it. Prints one line a check and `judged: N checks` at the end; leaves with status
1 after all of them if one failed.
"""

import base64
import copy
import json
import re
import sys

import botocore.session
import httpx

ARN = "arn:aws:kinesis:us-east-1:000000000000:stream/judged.constraints"
CONSUMER = f"{ARN}/consumer/c:1795395060"
STREAM = {"StreamName": "judged.constraints"}
# Operations that the endpoint does not have, as its documentation says.
ABSENT = {
    "AcknowledgeDeadLetterQueueRecords", "AcknowledgeQueueRecords", "CreateChannel", "CreateQueue", "DeleteChannel",
    "DeleteQueue", "DeleteResourcePolicy", "DescribeChannel", "DescribeQueue", "GetResourcePolicy", "ListChannels",
    "ListQueues", "PutResourcePolicy", "ReceiveDeadLetterQueueRecords", "ReceiveQueueRecords",
    "RestoreDeadLetterQueueRecords", "UpdateAccountSettings", "UpdateChannel", "UpdateDeadLetterQueueRecordsVisibility",
    "UpdateQueue", "UpdateQueueRecordsVisibility", "UpdateStreamWarmThroughput",
}
SHARD = "shardId-000000000000"
GOOD = {
    "AddTagsToStream": {**STREAM, "Tags": {"k": "v"}},
    "CreateStream": {"StreamName": "judged.new", "ShardCount": 1, "Tags": {"k": "v"},
                     "StreamModeDetails": {"StreamMode": "PROVISIONED"}},
    "DecreaseStreamRetentionPeriod": {**STREAM, "RetentionPeriodHours": 24},
    "IncreaseStreamRetentionPeriod": {**STREAM, "RetentionPeriodHours": 24},
    "DeleteStream": {"StreamName": "judged.gone"},
    "DeregisterStreamConsumer": {"ConsumerARN": CONSUMER},
    "DescribeStreamConsumer": {"ConsumerARN": CONSUMER},
    "DisableEnhancedMonitoring": {**STREAM, "ShardLevelMetrics": ["ALL"]},
    "EnableEnhancedMonitoring": {**STREAM, "ShardLevelMetrics": ["ALL"]},
    "GetRecords": {"ShardIterator": "AAAA"},
    "GetShardIterator": {**STREAM, "ShardId": SHARD, "ShardIteratorType": "AT_SEQUENCE_NUMBER",
                         "StartingSequenceNumber": "5"},
    "ListShards": {**STREAM, "ShardFilter": {"Type": "AFTER_SHARD_ID", "ShardId": SHARD}},
    "ListStreamConsumers": {"StreamARN": ARN},
    "ListTagsForResource": {"ResourceARN": ARN},
    "MergeShards": {**STREAM, "ShardToMerge": SHARD, "AdjacentShardToMerge": SHARD},
    "PutRecord": {**STREAM, "PartitionKey": "k", "Data": "AAAA"},
    "PutRecords": {**STREAM, "Records": [{"PartitionKey": "k", "Data": "AAAA"}]},
    "RegisterStreamConsumer": {"StreamARN": ARN, "ConsumerName": "c", "Tags": {"k": "v"}},
    "RemoveTagsFromStream": {**STREAM, "TagKeys": ["k"]},
    "SplitShard": {**STREAM, "ShardToSplit": SHARD, "NewStartingHashKey": "5"},
    "StartStreamEncryption": {**STREAM, "EncryptionType": "KMS", "KeyId": "k"},
    "StopStreamEncryption": {**STREAM, "EncryptionType": "KMS", "KeyId": "k"},
    "SubscribeToShard": {"ConsumerARN": CONSUMER, "ShardId": SHARD, "StartingPosition": {"Type": "LATEST"}},
    "TagResource": {"ResourceARN": ARN, "Tags": {"k": "v"}},
    "UntagResource": {"ResourceARN": ARN, "TagKeys": ["k"]},
    "UpdateMaxRecordSize": {"StreamARN": ARN, "MaxRecordSizeInKiB": 1024},
    "UpdateShardCount": {**STREAM, "TargetShardCount": 1, "ScalingType": "UNIFORM_SCALING"},
    "UpdateStreamRecordDistributionStrategy": {"StreamARN": ARN, "RecordDistributionStrategy": "USER_PARTITION_KEY"},
    "UpdateStreamMode": {"StreamARN": ARN, "StreamModeDetails": {"StreamMode": "PROVISIONED"}},
}


def violations(shape):
    """(what is wrong, a value that is)."""
    stated = shape.metadata
    low, high = stated.get("min"), stated.get("max")
    kind = shape.type_name
    if kind == "string":
        if "enum" in stated:
            yield "no such word", "NO_SUCH_WORD"
        if low:
            yield "too short", ""
        if high:
            yield "too long", "1" * (high + 1)
        if "pattern" in stated:
            yield "not of the pattern", "no! "
    elif kind in ("integer", "long"):
        if low is not None:
            yield "too small", low - 1
        if high is not None:
            yield "too large", high + 1
    elif kind == "list":
        if low:
            yield "too few", []
        if high:
            yield "too many", [good_of(shape.member)] * (high + 1)
    elif kind == "blob":
        if low:
            yield "too short", ""
        if high:
            yield "too long", base64.b64encode(bytes(high + 1)).decode()
    elif kind == "map":
        if low:
            yield "too few", {}
        if high:
            yield "too many", {f"k{n}": "v" for n in range(high + 1)}


def bounds(shape):
    """(which bound is met, a value that meets it). Texts only where a 1 or two make one of the pattern."""
    stated = shape.metadata
    low, high = stated.get("min"), stated.get("max")
    kind = shape.type_name
    if kind == "string" and "enum" not in stated:
        text = re.compile(stated.get("pattern", ".*"))
        for what, length in (("just long enough", low), ("just short enough", high)):
            if length and text.fullmatch("1" * length):
                yield what, "1" * length
    elif kind in ("integer", "long"):
        if low is not None:
            yield "just large enough", low
        if high is not None:
            yield "just small enough", high
    elif kind == "blob":
        yield "empty", ""
        yield "just short enough", base64.b64encode(bytes(high)).decode()


def met(shape, request, path=()):
    """(path, which bound is met, the request that meets it)."""
    for name, member in shape.members.items():
        here = (*path, name)
        for what, value in bounds(member):
            yield here, what, put({} if name == "NextToken" and "ShardFilter" in request else request, here, value)
        if member.type_name == "structure" and get(request, here) is not None:
            yield from met(member, request, here)
        if member.type_name == "list" and get(request, here):
            element = member.member
            if element.type_name == "structure":
                yield from met(element, request, (*here, 0))
            for what, value in bounds(element):
                yield (*here, 0), what, put(request, (*here, 0), value)
        if member.type_name == "map" and get(request, here):
            for what, value in bounds(member.key):
                yield (*here, "key"), what, put(request, here, {value: "v"})
            for what, value in bounds(member.value):
                yield (*here, "value"), what, put(request, here, {"k": value})


def good_of(shape):
    return {"PartitionKey": "k", "Data": "AAAA"} if shape.type_name == "structure" else shape.enum[0] if getattr(
        shape, "enum", None) else "k"


def broken(shape, request, path=()):
    """(path, what is wrong, the request with that wrong). ListShards takes a token alone."""
    for name, member in shape.members.items():
        here = (*path, name)
        if name in shape.required_members:
            yield here, "absent", put(request, here, None)
        for what, value in violations(member):
            base = {} if name == "NextToken" and "ShardFilter" in request else request
            yield here, what, put(base, here, value)
        inside = member.type_name == "structure" and get(request, here) is not None
        if inside:
            yield from broken(member, request, here)
        if member.type_name == "list" and get(request, here):
            element = member.member
            if element.type_name == "structure":
                yield from broken(element, request, (*here, 0))
            for what, value in violations(element):
                yield (*here, 0), what, put(request, (*here, 0), value)
        if member.type_name == "map" and get(request, here):
            for what, value in violations(member.key):
                yield (*here, "key"), what, put(request, here, {value: "v"})
            for what, value in violations(member.value):
                yield (*here, "value"), what, put(request, here, {"k": value})


def get(request, path):
    for part in path:
        try:
            request = request[part]
        except (KeyError, IndexError):
            return None
    return request


def put(request, path, value):
    changed = copy.deepcopy(request)
    inner = changed
    for part in path[:-1]:
        inner = inner[part] if isinstance(inner, list) else inner.setdefault(part, {})
    if value is None:
        inner.pop(path[-1], None)
    else:
        inner[path[-1]] = value
    return changed


def main(url):
    model = botocore.session.get_session().get_service_model("kinesis")
    checks, failed = 0, []
    with httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        def call(operation, body):
            answer = client.post("/", content=json.dumps(body), headers={
                "content-type": "application/x-amz-json-1.1", "x-amz-target": f"Kinesis_20131202.{operation}",
                "authorization": "AWS4-HMAC-SHA256 Credential=a/20261124/us-east-1/kinesis/aws4_request, "
                                 "SignedHeaders=host;x-amz-date, Signature=0",
                "x-amz-date": "20261124T000000Z"})
            said = answer.json() if answer.content else {}
            return answer.status_code, said.get("__type"), said.get("message") or ""

        for name in model.operation_names:
            if name in ABSENT:
                _, exception, _ = call(name, {})
                checks += 1
                if exception != "UnknownOperationException":
                    failed.append((name, "is there after all", exception))
                continue
            shape = model.operation_model(name).input_shape
            good = GOOD.get(name, STREAM if shape and "StreamName" in shape.members else {})
            exception = call(name, good)[1]
            checks += 1
            if exception in ("ValidationException", "UnknownOperationException", "SerializationException"):
                failed.append((name, "the good request", exception))
            for path, what, body in broken(shape, good) if shape else ():
                status, exception, message = call(name, body)
                where = ".".join(str(part) for part in path)
                checks += 1
                last = next(part for part in reversed(path) if isinstance(part, str) and part not in ("key", "value"))
                told = exception == "ValidationException" and status == 400
                named = last.lower() in message.lower() and "validation error" in message
                if told and named:
                    print(f"ok {name} {where} {what}")
                else:
                    failed.append((name, where, what, status, exception, message[:160]))
            for path, what, body in met(shape, good) if shape else ():
                status, exception, message = call(name, body)
                where = ".".join(str(part) for part in path)
                checks += 1
                if status in (200, 400) and exception not in ("ValidationException", "SerializationException"):
                    print(f"ok {name} {where} {what}")
                else:
                    failed.append((name, where, what, status, exception, message[:160]))
    for failure in failed:
        print("FAILED", *failure)
    if failed:
        sys.exit(1)
    print(f"judged: {checks} checks")


if __name__ == "__main__":
    main(*sys.argv[1:])
