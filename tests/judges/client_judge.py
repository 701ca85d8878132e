"""Amazon's own clients in the way people use them: boto3's paginators and waiters, and the AWS command line.

    client_judge.py ENDPOINT_URL

The command line is the `aws` beside this Python. Prints one line a check, `judged: N checks` at the end, and leaves
with status 1 at the first check that fails.
"""

import base64
import json
import os
import pathlib
import subprocess
import sys

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

CHECKS = 0
SOON = {"Delay": 1, "MaxAttempts": 30}


def check(name, holds, seen=None):
    global CHECKS
    if not holds:
        sys.exit(f"FAILED: {name}: {seen!r}")
    CHECKS += 1
    print(f"ok {name}")


def main(url):
    kinesis = boto3.client(
        "kinesis",
        endpoint_url=url,
        region_name="us-east-1",
        aws_access_key_id="judge",
        aws_secret_access_key="judge",
        config=Config(retries={"total_max_attempts": 1}, proxies={}),
    )
    waiters_and_paginators(kinesis)
    command_line(url)
    print(f"judged: {CHECKS} checks")


def waiters_and_paginators(kinesis):
    names = [f"waited.{i}" for i in range(3)]
    for name in names:
        kinesis.create_stream(StreamName=name, ShardCount=7)
    for name in names:
        kinesis.get_waiter("stream_exists").wait(StreamName=name, WaiterConfig=SOON)
        status = kinesis.describe_stream_summary(StreamName=name)["StreamDescriptionSummary"]["StreamStatus"]
        check(f"waiter: {name} exists", status == "ACTIVE", status)

    expected = [f"shardId-{i:012}" for i in range(7)]
    pages = list(kinesis.get_paginator("describe_stream").paginate(StreamName=names[0], PaginationConfig={"PageSize": 3}))
    shards = [shard["ShardId"] for page in pages for shard in page["StreamDescription"]["Shards"]]
    check("paginator: describe_stream", shards == expected and len(pages) == 3, shards)
    pages = list(kinesis.get_paginator("list_streams").paginate(PaginationConfig={"PageSize": 1}))
    listed = [name for page in pages for name in page["StreamNames"]]
    check("paginator: list_streams", [name for name in listed if name in names] == names, listed)
    check("paginator: list_streams, one a page", len(pages) == len(listed), len(pages))

    paginator = kinesis.get_paginator("list_shards")
    whole = paginator.paginate(StreamName=names[0]).build_full_result()
    check("paginator: list_shards in one page", [shard["ShardId"] for shard in whole["Shards"]] == expected, whole)
    # From the second page on botocore's paginator sends NextToken beside StreamName, which the service documents as
    # refused: both are judged, the refusal and paging by the token alone.
    try:
        list(paginator.paginate(StreamName=names[0], PaginationConfig={"PageSize": 3}))
        check("paginator: list_shards repeats the name, and is refused", False)
    except ClientError as error:
        said = error.response["Error"]
        check("paginator: list_shards repeats the name, and is refused", said["Code"] == "InvalidArgumentException", said)
    page = kinesis.list_shards(StreamName=names[0], MaxResults=3)
    shards = page["Shards"]
    while token := page.get("NextToken"):
        page = kinesis.list_shards(NextToken=token, MaxResults=3)
        shards += page["Shards"]
    check("list_shards: by tokens", [shard["ShardId"] for shard in shards] == expected, shards)

    for name in names:
        kinesis.delete_stream(StreamName=name)
    for name in names:
        kinesis.get_waiter("stream_not_exists").wait(StreamName=name, WaiterConfig=SOON)
    left = kinesis.list_streams()["StreamNames"]
    check("waiter: they are gone", not set(names) & set(left), left)


def command_line(url):
    aws = pathlib.Path(sys.executable).with_name("aws")
    settings = {
        "AWS_ACCESS_KEY_ID": "judge",
        "AWS_SECRET_ACCESS_KEY": "judge",
        "AWS_DEFAULT_REGION": "eu-central-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        "AWS_CONFIG_FILE": os.devnull,
        "AWS_SHARED_CREDENTIALS_FILE": os.devnull,
    }
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AWS_")}

    def call(*words, fails=False):
        command = [sys.executable, aws, "--endpoint-url", url, "--output", "json", "kinesis", *words]
        done = subprocess.run(command, env={**kept, **settings}, capture_output=True, text=True, timeout=60)
        check(f"aws kinesis {words[0]}: ends as it should", (done.returncode != 0) == fails, done)
        if fails:
            return done.stderr
        return json.loads(done.stdout) if done.stdout.strip() else None

    stream = ("--stream-name", "by.command")
    call("create-stream", *stream, "--shard-count", "2")
    call("wait", "stream-exists", *stream)
    summary = call("describe-stream-summary", *stream)["StreamDescriptionSummary"]
    check("aws: described", (summary["StreamStatus"], summary["OpenShardCount"]) == ("ACTIVE", 2), summary)
    check("aws: listed", "by.command" in call("list-streams")["StreamNames"])
    shards = [shard["ShardId"] for shard in call("list-shards", *stream)["Shards"]]
    check("aws: shards", shards == ["shardId-000000000000", "shardId-000000000001"], shards)
    put = call("put-record", *stream, "--partition-key", "ключ", "--data", "hello")
    call("put-records", *stream, "--records", "Data=one,PartitionKey=a", "Data=two,PartitionKey=b")
    records = []
    for shard in shards:
        begin = ("--shard-id", shard, "--shard-iterator-type", "TRIM_HORIZON")
        iterator = call("get-shard-iterator", *stream, *begin)["ShardIterator"]
        records += call("get-records", "--shard-iterator", iterator)["Records"]
    data = sorted(base64.b64decode(record["Data"]) for record in records)
    check("aws: all records", data == [b"hello", b"one", b"two"], records)
    mine = [record["PartitionKey"] for record in records if record["SequenceNumber"] == put["SequenceNumber"]]
    check("aws: its key", mine == ["ключ"], records)
    said = call("describe-stream", "--stream-name", "nowhere", fails=True)
    check("aws: a refusal in words", "(ResourceNotFoundException)" in said and "nowhere" in said, said)
    call("delete-stream", *stream)
    call("wait", "stream-not-exists", *stream)


if __name__ == "__main__":
    main(*sys.argv[1:])
