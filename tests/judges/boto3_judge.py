"""An independent client's verdict on the local Kinesis endpoint.

    boto3_judge.py ENDPOINT_URL

Uses boto3 only, knows nothing of how the endpoint is made, and computes what it expects by itself. Prints one line a
check, `judged: N checks` at the end, and leaves with status 1 at the first check that fails.
"""

import datetime
import email.utils
import hashlib
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

CHECKS = 0
STREAM = "judged.stream_1"


def check(name, holds, seen=None):
    global CHECKS
    if not holds:
        sys.exit(f"FAILED: {name}: {seen!r}")
    CHECKS += 1
    print(f"ok {name}")


def refused(name, code, call, part="", **arguments):
    try:
        seen = call(**arguments)
    except ClientError as error:
        seen = error.response["Error"]
        check(name, seen["Code"] == code and part in seen["Message"], seen)
        check(f"{name}: status 400", error.response["ResponseMetadata"]["HTTPStatusCode"] == 400)
        return
    check(name, False, seen)


def client(url, **config):
    return boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="judge",
        aws_secret_access_key="judge",
        config=Config(retries={"total_max_attempts": 1}, proxies={}, **config),
    )


def main(url):
    kinesis = client(url)
    lax = client(url, parameter_validation=False)  # sends what the service must refuse by itself
    streams(kinesis)
    shards = listing(kinesis)
    written = writing(kinesis, shards)
    reading(kinesis, shards, written)
    refusals(kinesis, lax, shards)
    resharding(kinesis)
    settings(kinesis)
    ending(kinesis)
    print(f"judged: {CHECKS} checks")


def streams(kinesis):
    made = datetime.datetime.now(datetime.timezone.utc)
    answer = kinesis.create_stream(StreamName=STREAM, ShardCount=5)
    check("create: request id", len(answer["ResponseMetadata"]["RequestId"]) == 36, answer)
    described = kinesis.describe_stream(StreamName=STREAM)["StreamDescription"]
    check("create: CREATING first", described["StreamStatus"] == "CREATING", described)
    check("create: no shards while CREATING", described["Shards"] == [], described)
    refused("put while CREATING", "ResourceNotFoundException", kinesis.put_record,
            StreamName=STREAM, PartitionKey="k", Data=b"early")
    kinesis.get_waiter("stream_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    summary = kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]
    check("summary: ACTIVE", summary["StreamStatus"] == "ACTIVE", summary)
    check("summary: shards", summary["OpenShardCount"] == 5, summary)
    check("summary: retention", summary["RetentionPeriodHours"] == 24, summary)
    check("summary: mode", summary["StreamModeDetails"] == {"StreamMode": "PROVISIONED"}, summary)
    check("summary: arn", summary["StreamARN"].endswith(f":stream/{STREAM}"), summary)
    age = abs((summary["StreamCreationTimestamp"] - made).total_seconds())
    check("summary: creation time", age < 30, summary)
    by_arn = kinesis.describe_stream_summary(StreamARN=summary["StreamARN"])["StreamDescriptionSummary"]
    check("summary: by ARN the same", by_arn == summary, by_arn)
    answer = kinesis.list_streams()
    date = email.utils.parsedate_to_datetime(answer["ResponseMetadata"]["HTTPHeaders"]["date"])
    age = abs((date - datetime.datetime.now(datetime.timezone.utc)).total_seconds())
    check("date header", age < 30, date)
    names = [name for page in kinesis.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1})
             for name in page["StreamNames"]]
    check("list streams: paged", names == ["judged.other", STREAM], names)


def listing(kinesis):
    shards = kinesis.list_shards(StreamName=STREAM)["Shards"]
    ids = [shard["ShardId"] for shard in shards]
    check("shards: ids", ids == [f"shardId-{n:012}" for n in range(5)], ids)
    ranges = [(int(s["HashKeyRange"]["StartingHashKey"]), int(s["HashKeyRange"]["EndingHashKey"])) for s in shards]
    ends = [0] + [last + 1 for _, last in ranges]
    check("shards: every hash key once", ends[:-1] == [first for first, _ in ranges] and ends[-1] == 2**128, ranges)
    starts = [s["SequenceNumberRange"]["StartingSequenceNumber"] for s in shards]
    check("shards: 56 digits", all(len(n) == 56 and n.isdigit() and n[0] != "0" for n in starts), starts)
    open_ended = all("EndingSequenceNumber" not in s["SequenceNumberRange"] for s in shards)
    check("shards: open", open_ended and all("ParentShardId" not in s for s in shards), shards)
    pages = [kinesis.list_shards(StreamName=STREAM, MaxResults=2)]
    while token := pages[-1].get("NextToken"):
        pages.append(kinesis.list_shards(NextToken=token, MaxResults=2))
    check("shards: pages of two", [len(page["Shards"]) for page in pages] == [2, 2, 1], pages)
    check("shards: pages hold the same", [s for page in pages for s in page["Shards"]] == shards, pages)
    # boto3's own paginator repeats the name beside the token, which the service refuses (boto/botocore#2009).
    paginator = kinesis.get_paginator("list_shards")
    refused("shards: token and name together", "InvalidArgumentException",
            lambda **a: list(paginator.paginate(**a)), "NextToken and StreamName cannot be provided together.",
            StreamName=STREAM, PaginationConfig={"PageSize": 2})
    (page,) = paginator.paginate(StreamName=STREAM)
    check("shards: paginator with one page", page["Shards"] == shards, page)
    pages = kinesis.get_paginator("describe_stream").paginate(StreamName=STREAM, PaginationConfig={"PageSize": 2})
    described = [shard for page in pages for shard in page["StreamDescription"]["Shards"]]
    check("describe: paged, the same shards", described == shards, described)
    latest = kinesis.list_shards(StreamName=STREAM, ShardFilter={"Type": "AT_LATEST"})["Shards"]
    check("shards: filter", latest == shards, latest)
    return shards


def shard_of(shards, hash_key):
    holders = [s["ShardId"] for s in shards
               if int(s["HashKeyRange"]["StartingHashKey"]) <= hash_key <= int(s["HashKeyRange"]["EndingHashKey"])]
    (holder,) = holders
    return holder


def writing(kinesis, shards):
    """Puts 1,101 records; gives back, shard by shard, what must be read: (sequence number, key, data)."""
    written = {shard["ShardId"]: [] for shard in shards}
    put = kinesis.put_record(StreamName=STREAM, PartitionKey="ключ 'ё\"\\\n", Data=bytes(range(256)))
    written[put["ShardId"]].append((put["SequenceNumber"], "ключ 'ё\"\\\n", bytes(range(256))))
    for part in (range(0, 500), range(500, 1000)):
        records = [{"PartitionKey": f"key-{n}", "Data": f"data {n}".encode() * (n % 7)} for n in part]
        answer = kinesis.put_records(StreamName=STREAM, Records=records)
        check("put records: none failed", answer["FailedRecordCount"] == 0, answer["FailedRecordCount"])
        check("put records: an entry each", len(answer["Records"]) == len(records), len(answer["Records"]))
        for record, placed in zip(records, answer["Records"]):
            expected = shard_of(shards, int(hashlib.md5(record["PartitionKey"].encode()).hexdigest(), 16))
            if placed["ShardId"] != expected:
                check("put records: MD5 routing", False, (record, placed, expected))
            written[expected].append((placed["SequenceNumber"], record["PartitionKey"], record["Data"]))
    check("put records: MD5 routing", True)
    for n in range(100):
        hash_key = n * (2**128 // 100)
        put = kinesis.put_record(StreamName=STREAM, PartitionKey="same", ExplicitHashKey=str(hash_key), Data=b"x")
        if put["ShardId"] != shard_of(shards, hash_key):
            check("put: explicit hash key", False, (hash_key, put))
        written[put["ShardId"]].append((put["SequenceNumber"], "same", b"x"))
    check("put: explicit hash key", True)
    for records in written.values():
        numbers = [int(number) for number, _, _ in records]
        check("put: sequence numbers rise", numbers == sorted(set(numbers)), numbers)
    return written


def walk(kinesis, iterator, limit=None):
    """Reads from an iterator until caught up."""
    seen = []
    while True:
        page = kinesis.get_records(ShardIterator=iterator, **({"Limit": limit} if limit else {}))
        seen += page["Records"]
        if page["MillisBehindLatest"] == 0:
            return seen
        iterator = page["NextShardIterator"]


def plain(records):
    return [(r["SequenceNumber"], r["PartitionKey"], r["Data"]) for r in records]


def reading(kinesis, shards, written):
    def iterator(shard, kind, **more):
        return kinesis.get_shard_iterator(
            StreamName=STREAM, ShardId=shard, ShardIteratorType=kind, **more)["ShardIterator"]

    for shard, expected in written.items():
        seen = walk(kinesis, iterator(shard, "TRIM_HORIZON"), limit=37)
        check("TRIM_HORIZON: everything once, in order", plain(seen) == expected, (shard, len(seen), len(expected)))
        middle = expected[len(expected) // 2][0]
        at = plain(walk(kinesis, iterator(shard, "AT_SEQUENCE_NUMBER", StartingSequenceNumber=middle)))
        check("AT_SEQUENCE_NUMBER: the record and what follows", at == expected[len(expected) // 2:], shard)
        after = plain(walk(kinesis, iterator(shard, "AFTER_SEQUENCE_NUMBER", StartingSequenceNumber=middle)))
        check("AFTER_SEQUENCE_NUMBER: what follows", after == expected[len(expected) // 2 + 1:], shard)
        stamp = seen[len(seen) // 2]["ApproximateArrivalTimestamp"]
        since = walk(kinesis, iterator(shard, "AT_TIMESTAMP", Timestamp=stamp))
        from_stamp = [r for r in seen if r["ApproximateArrivalTimestamp"] >= stamp]
        # boto3 may send a timestamp in whole seconds: then more comes, but the end must be the same.
        exact = plain(since)[-len(from_stamp):] == plain(from_stamp)
        check("AT_TIMESTAMP: from the stamp on", exact, (shard, len(since), len(from_stamp)))
        check("AT_TIMESTAMP: not from long before", all(
            (stamp - r["ApproximateArrivalTimestamp"]).total_seconds() < 1 for r in since), shard)
        stamps = [r["ApproximateArrivalTimestamp"] for r in seen]
        check("arrival stamps do not fall", stamps == sorted(stamps), shard)
    fresh = any(r.microsecond % 1_000 == 0 and r.microsecond for r in stamps)
    check("arrival stamps have ms", fresh, stamps)

    target = shards[2]["ShardId"]
    latest = iterator(target, "LATEST")
    check("LATEST: nothing yet", walk(kinesis, latest) == [])
    inside = shards[2]["HashKeyRange"]["StartingHashKey"]
    put = kinesis.put_record(StreamName=STREAM, PartitionKey="late", ExplicitHashKey=inside, Data=b"late")
    for _ in range(2):
        seen = [r["SequenceNumber"] for r in walk(kinesis, latest)]
        check("LATEST: what came after, each time it is asked", seen == [put["SequenceNumber"]], seen)
    page = kinesis.get_records(ShardIterator=iterator(target, "TRIM_HORIZON"), Limit=1)
    check("behind: more than nothing while records lie ahead", page["MillisBehindLatest"] > 0, page)


def refusals(kinesis, lax, shards):
    shard = shards[0]["ShardId"]
    here = {"StreamName": STREAM}
    refused("no such stream", "ResourceNotFoundException", kinesis.describe_stream_summary,
            "Stream nowhere under account", StreamName="nowhere")
    refused("no such stream to read", "ResourceNotFoundException", kinesis.get_shard_iterator,
            StreamName="nowhere", ShardId=shard, ShardIteratorType="LATEST")
    refused("no such shard", "ResourceNotFoundException", kinesis.get_shard_iterator,
            "does not exist", **here, ShardId="shardId-000000000099", ShardIteratorType="LATEST")
    refused("name taken", "ResourceInUseException", kinesis.create_stream, "already exists", **here, ShardCount=1)
    refused("too many shards", "LimitExceededException", kinesis.create_stream,
            StreamName="large", ShardCount=1_000_000)
    refused("time to come", "InvalidArgumentException", kinesis.get_shard_iterator, "timestampInMillis",
            **here, ShardId=shard, ShardIteratorType="AT_TIMESTAMP", Timestamp=time.time() + 3_600)
    refused("no sequence number", "InvalidArgumentException", kinesis.get_shard_iterator,
            **here, ShardId=shard, ShardIteratorType="AT_SEQUENCE_NUMBER")
    refused("sequence number of another shard", "InvalidArgumentException", kinesis.get_shard_iterator,
            "It encodes shardId-000000000001", **here, ShardId=shard, ShardIteratorType="AFTER_SEQUENCE_NUMBER",
            StartingSequenceNumber=shards[1]["SequenceNumberRange"]["StartingSequenceNumber"])
    refused("made-up iterator", "InvalidArgumentException", kinesis.get_records, ShardIterator="AAAA")
    refused("made-up token", "InvalidArgumentException", kinesis.list_shards, NextToken="AAAA")
    iterator = kinesis.get_shard_iterator(**here, ShardId=shard, ShardIteratorType="LATEST")["ShardIterator"]
    for limit in (0, 10_001):
        refused(f"limit {limit}", "ValidationException", lax.get_records,
                f"1 validation error detected: Value '{limit}' at 'limit' failed to satisfy constraint: ",
                ShardIterator=iterator, Limit=limit)
    refused("empty key", "ValidationException", lax.put_record, "partitionKey", **here, PartitionKey="", Data=b"")
    refused("long key", "ValidationException", lax.put_record, "partitionKey",
            **here, PartitionKey="k" * 257, Data=b"")
    refused("no records", "ValidationException", lax.put_records, "records", **here, Records=[])
    refused("501 records", "ValidationException", lax.put_records, "records",
            **here, Records=[{"PartitionKey": "k", "Data": b""}] * 501)
    refused("record beyond the stream's 1 MiB", "InvalidArgumentException", lax.put_record, "1048576",
            **here, PartitionKey="k", Data=bytes(2**20))
    refused("data beyond every stream's 10 MiB", "ValidationException", lax.put_record, "at 'data'",
            **here, PartitionKey="k", Data=bytes(10 * 2**20 + 1))
    refused("hash key beyond 128 bits", "InvalidArgumentException", kinesis.put_record, str(2**128),
            **here, PartitionKey="k", ExplicitHashKey=str(2**128), Data=b"")
    refused("wrong type", "SerializationException", lax.describe_stream_summary, StreamName=7)
    refused("operation not there", "UnknownOperationException", kinesis.list_channels)
    refused("malformed ARN", "ValidationException", lax.describe_stream_summary, StreamARN="arn:nonsense")


OTHER = "judged.other"


def active(kinesis):
    for _ in range(200):
        summary = kinesis.describe_stream_summary(StreamName=OTHER)["StreamDescriptionSummary"]
        if summary["StreamStatus"] == "ACTIVE":
            return summary
        time.sleep(0.1)
    check("ACTIVE again", False, summary)


def covers_once(shards):
    ranges = sorted((int(s["HashKeyRange"]["StartingHashKey"]), int(s["HashKeyRange"]["EndingHashKey"]))
                    for s in shards)
    ends = [0] + [last + 1 for _, last in ranges]
    return ends[:-1] == [first for first, _ in ranges] and ends[-1] == 2**128


def resharding(kinesis):
    old = [f"old-{n}".encode() for n in range(20)]
    for data in old:
        kinesis.put_record(StreamName=OTHER, PartitionKey=data.decode(), Data=data)
    kinesis.split_shard(StreamName=OTHER, ShardToSplit="shardId-000000000000", NewStartingHashKey=str(2**126))
    active(kinesis)
    kinesis.merge_shards(StreamName=OTHER, ShardToMerge="shardId-000000000002",
                         AdjacentShardToMerge="shardId-000000000001")
    active(kinesis)
    scaled = kinesis.update_shard_count(StreamName=OTHER, TargetShardCount=2, ScalingType="UNIFORM_SCALING")
    check("scale: counts", (scaled["CurrentShardCount"], scaled["TargetShardCount"]) == (1, 2), scaled)
    check("scale: open shards", active(kinesis)["OpenShardCount"] == 2)
    shards = {s["ShardId"][-1]: s for s in kinesis.list_shards(StreamName=OTHER)["Shards"]}
    parents = {number: (s.get("ParentShardId", "-")[-1], s.get("AdjacentParentShardId", "-")[-1])
               for number, s in shards.items()}
    expected = {"0": ("-", "-"), "1": ("0", "-"), "2": ("0", "-"), "3": ("2", "1"), "4": ("3", "-"), "5": ("3", "-")}
    check("reshard: lineage", parents == expected, parents)
    numbers = [s["SequenceNumberRange"] for s in shards.values()]
    check("reshard: four closed", sum("EndingSequenceNumber" in n for n in numbers) == 4, numbers)
    check("reshard: children begin behind their parents",
          int(numbers[0]["EndingSequenceNumber"]) < int(numbers[1]["StartingSequenceNumber"]), numbers)
    for kind, count in [("AT_TRIM_HORIZON", 1), ("AT_LATEST", 2)]:
        listed = kinesis.list_shards(StreamName=OTHER, ShardFilter={"Type": kind})["Shards"]
        check(f"reshard: {kind} covers once", len(listed) == count and covers_once(listed), listed)
    seen = walk_from_parents(kinesis)
    check("reshard: every record once, parents first", sorted(seen) == sorted(old), seen)
    halves = [shards[n]["HashKeyRange"]["StartingHashKey"] for n in "45"]
    check("scale: even", halves == ["0", str(2**127)], halves)


def walk_from_parents(kinesis):
    """All data of OTHER, following ChildShards from what was open at the trim horizon."""
    listed = kinesis.list_shards(StreamName=OTHER, ShardFilter={"Type": "AT_TRIM_HORIZON"})["Shards"]
    waiting, done, seen = {s["ShardId"]: [] for s in listed}, set(), []
    while waiting:
        shard = next(id for id, parents in waiting.items() if done.issuperset(parents))
        del waiting[shard]
        iterator = kinesis.get_shard_iterator(StreamName=OTHER, ShardId=shard,
                                              ShardIteratorType="TRIM_HORIZON")["ShardIterator"]
        for _ in range(3):  # at most its records, an extra page, and the end
            page = kinesis.get_records(ShardIterator=iterator)
            seen += [record["Data"] for record in page["Records"]]
            iterator = page.get("NextShardIterator")
            if iterator is None:
                waiting.update({c["ShardId"]: c["ParentShards"] for c in page["ChildShards"]})
                break
        done.add(shard)
    return seen


def settings(kinesis):
    arn = active(kinesis)["StreamARN"]
    here = {"StreamName": OTHER}
    kinesis.increase_stream_retention_period(**here, RetentionPeriodHours=72)
    kinesis.decrease_stream_retention_period(**here, RetentionPeriodHours=48)
    kinesis.add_tags_to_stream(**here, Tags={"colour": "red", "size": "1"})
    kinesis.tag_resource(ResourceARN=arn, Tags={"colour": "blue"})
    kinesis.remove_tags_from_stream(**here, TagKeys=["size"])
    tags = kinesis.list_tags_for_stream(**here)
    check("tags: by name", tags["Tags"] == [{"Key": "colour", "Value": "blue"}] and not tags["HasMoreTags"], tags)
    tags = kinesis.list_tags_for_resource(ResourceARN=arn)["Tags"]
    check("tags: by ARN", tags == [{"Key": "colour", "Value": "blue"}], tags)
    kinesis.untag_resource(ResourceARN=arn, TagKeys=["colour"])
    metrics = kinesis.enable_enhanced_monitoring(**here, ShardLevelMetrics=["ALL"])["DesiredShardLevelMetrics"]
    check("monitoring: all", len(metrics) == 7, metrics)
    active(kinesis)
    metrics = kinesis.disable_enhanced_monitoring(**here, ShardLevelMetrics=metrics[1:])["DesiredShardLevelMetrics"]
    check("monitoring: one left", metrics == ["IncomingBytes"], metrics)
    active(kinesis)
    kinesis.start_stream_encryption(**here, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    check("encryption: noted", active(kinesis)["KeyId"] == "alias/aws/kinesis")
    kinesis.stop_stream_encryption(**here, EncryptionType="KMS", KeyId="alias/aws/kinesis")
    active(kinesis)
    kinesis.update_max_record_size(StreamARN=arn, MaxRecordSizeInKiB=4096)
    active(kinesis)
    kinesis.put_record(**here, PartitionKey="k", Data=bytes(3 * 2**20))
    kinesis.update_stream_mode(StreamARN=arn, StreamModeDetails={"StreamMode": "ON_DEMAND"})
    summary = active(kinesis)
    seen = [summary[name] for name in ("RetentionPeriodHours", "MaxRecordSizeInKiB", "EncryptionType")]
    check("settings: in the summary", seen == [48, 4096, "NONE"], summary)
    check("mode: on demand", summary["StreamModeDetails"] == {"StreamMode": "ON_DEMAND"}, summary)
    refused("split on demand", "ValidationException", kinesis.split_shard, "On-Demand mode",
            **here, ShardToSplit="shardId-000000000004", NewStartingHashKey="100")
    limits = kinesis.describe_limits()
    check("limits", (limits["OpenShardCount"], limits["OnDemandStreamCount"]) == (7, 1), limits)
    account = kinesis.describe_account_settings()["MinimumThroughputBillingCommitment"]
    check("account settings", account == {"Status": "DISABLED"}, account)

    made = kinesis.register_stream_consumer(StreamARN=arn, ConsumerName="c")["Consumer"]
    check("consumer: CREATING first", made["ConsumerStatus"] == "CREATING", made)
    names = [c["ConsumerName"] for page in kinesis.get_paginator("list_stream_consumers").paginate(StreamARN=arn)
             for c in page["Consumers"]]
    check("consumer: listed", names == ["c"], names)
    described = kinesis.describe_stream_consumer(ConsumerARN=made["ConsumerARN"])["ConsumerDescription"]
    check("consumer: of its stream", described["StreamARN"] == arn, described)
    refused("registered twice", "ResourceInUseException", kinesis.register_stream_consumer,
            StreamARN=arn, ConsumerName="c")
    refused("delete with a consumer", "ResourceInUseException", kinesis.delete_stream, **here)
    kinesis.deregister_stream_consumer(ConsumerARN=made["ConsumerARN"])


def ending(kinesis):
    kinesis.delete_stream(StreamName=STREAM)
    status = kinesis.describe_stream_summary(StreamName=STREAM)["StreamDescriptionSummary"]["StreamStatus"]
    check("delete: DELETING first", status == "DELETING", status)
    kinesis.get_waiter("stream_not_exists").wait(StreamName=STREAM, WaiterConfig={"Delay": 1, "MaxAttempts": 20})
    check("delete: gone", STREAM not in kinesis.list_streams()["StreamNames"])


if __name__ == "__main__":
    main(*sys.argv[1:])
