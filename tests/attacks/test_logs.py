"""Logs of Delta tables that name what is not theirs, lie, or are too much."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from deltalake import DeltaTable
from support.victim import Plant, Victim

TABLES = ("activations", "networks", "results/selectivity")

PATHS = {
    "all below": "**",
    "all files": "*/*/*/*.parquet",
    "a class of characters": "network=net/layer=planted/stimulus_set=set1/[p]art*.parquet",
    "one of several": "{a,b}.parquet",
    "above": "../../outside/secret.parquet",
    "above, from within": "network=net/../../../outside/secret.parquet",
    "above, encoded": "%2e%2e/%2e%2e/outside/secret.parquet",
    "above, its slashes encoded": "..%2F..%2Foutside%2Fsecret.parquet",
    "above, encoded twice": "%252e%252e/%252e%252e/outside/secret.parquet",
    "absolute": "{outside}/secret.parquet",
    "absolute, with two slashes": "/{outside}/secret.parquet",
    "a file URL": "file://{outside}/secret.parquet",
    "the network": "http://127.0.0.1:1/secret.parquet",
    "a bucket": "s3://bucket/secret.parquet",
    "a hub": "hf://datasets/a/b.parquet",
    "an endless device": "/dev/zero",
    "this process": "/proc/self/environ",
    "a home": "~/secret.parquet",
    "backslashes": "..\\..\\outside\\secret.parquet",
    "a drive": "C:/secret.parquet",
    "a zero byte": "a\0b.parquet",
    "a zero byte, encoded": "a%00b.parquet",
    "nothing": "",
    "itself": ".",
    "a quote": "x'], (SELECT 1)) --.parquet",
    "a control": "\x1b]0;owned\x07.parquet",
    "a query string": "secret.parquet?versionId=1",
    "very long": "a" * 100_000,
    "the other table": "../stimuli/part.parquet",
    "the marker": "../warehouse.json",
}


def add(path: str, **changed: Any) -> dict[str, Any]:
    values = {"network": "net", "layer": "planted", "stimulus_set": "set1"}
    stats = {"numRecords": 1, "minValues": {"unit_id": 0, "stimulus_id": 0}}
    stats |= {"maxValues": {"unit_id": 0, "stimulus_id": 0}}
    action = {"path": path, "size": 1, "partitionValues": values, "modificationTime": 0}
    return {"add": action | {"dataChange": True, "stats": json.dumps(stats)} | changed}


@pytest.mark.parametrize("path", PATHS.values(), ids=PATHS)
def test_a_path_of_a_log_of_activations_leads_nowhere(victim: Victim, path: str) -> None:
    victim.commit("activations", add(path.replace("{outside}", str(victim.outside))))
    assert victim.numbers_are_true_or_refused().code == 1


SMALL = ["all below", "above", "above, encoded", "absolute", "a file URL", "the network", "itself"]


@pytest.mark.parametrize("kind", [*SMALL, "an endless device"])
@pytest.mark.parametrize("table", ["networks", "results/selectivity"])
def test_a_path_of_a_log_of_a_small_table_leads_nowhere(
    victim: Victim, table: str, kind: str
) -> None:
    path = PATHS[kind].replace("{outside}", str(victim.outside))
    victim.commit(table, add(path, partitionValues={}))
    assert victim("sql", f"FROM {table.rpartition('/')[2]}").code == 1
    assert victim.numbers_are_true_or_refused().code == 0


@pytest.mark.parametrize(
    "path", ["../../outside/secret.txt", "%2e%2e/%2e%2e/outside/secret.txt", "{outside}/secret.txt"]
)
def test_what_a_log_took_away_is_not_deleted_elsewhere(victim: Victim, path: str) -> None:
    path = path.replace("{outside}", str(victim.outside))
    for table in ("activations", "networks"):
        removed = {"path": path, "deletionTimestamp": 0, "dataChange": True}
        victim.commit(table, {"remove": removed})
    victim("vacuum", "--older-than", "0")
    victim.numbers_are_true_or_refused()


def live(victim: Victim) -> dict[str, Any]:
    """The add of the file of activations."""
    for commit in victim.log("activations"):
        for line in commit.read_text().splitlines():
            if "add" in (action := json.loads(line)):
                return action
    raise AssertionError


def change_stats(victim: Victim, stats: str) -> None:
    action = live(victim)
    action["add"]["stats"] = stats
    victim.commit("activations", action)


STATS = {
    "none": "",
    "no JSON": "{",
    "a list": "[]",
    "a million rows": '{"numRecords": 1000000}',
    "fewer than no rows": '{"numRecords": -1}',
    "more than any number": '{"numRecords": 1' + "0" * 40 + "}",
    "text": '{"numRecords": "960", "minValues": {"unit_id": "x"}}',
    "other stimuli": '{"numRecords": 960, "minValues": {"unit_id": 0, "stimulus_id": 1000},'
    ' "maxValues": {"unit_id": 39, "stimulus_id": 1023}}',
    "other units": '{"numRecords": 960, "minValues": {"unit_id": 7, "stimulus_id": 0},'
    ' "maxValues": {"unit_id": 8, "stimulus_id": 23}}',
    "the wrong way round": '{"numRecords": 960, "minValues": {"unit_id": 39, "stimulus_id": 23},'
    ' "maxValues": {"unit_id": 0, "stimulus_id": 0}}',
    "deep": "[" * 1_000 + "]" * 1_000,
    "very deep": "[" * 50_000 + "]" * 50_000,
}


@pytest.mark.parametrize("stats", STATS.values(), ids=STATS)
def test_statistics_that_lie_change_no_answer(victim: Victim, stats: str) -> None:
    change_stats(victim, stats)
    of_one = "SELECT count(*) FROM activations WHERE unit_id = 20 AND stimulus_id = 5"
    done = victim("sql", f"SELECT ({of_one}), count(*) FROM activations", "-f", "csv")
    assert done.code == 1 or done.stdout.split()[-1] == b"1,960"
    done = victim("select", "-n", "net", "-l", "planted", "-s", "set1", "-f", "csv")
    assert done.code == 1 or b"net,planted,40,40," in done.stdout


def test_partition_values_that_are_not_those_of_the_file(victim: Victim) -> None:
    action = live(victim)
    action["add"]["partitionValues"]["network"] = "evil"
    victim.commit("activations", action)
    victim.numbers_are_true_or_refused()
    victim("select", "-n", "evil", "-l", "planted", "-s", "set1")


def write(victim: Victim, name: str, content: bytes = b"", size: int = 0) -> None:
    path = victim.path / "networks" / "_delta_log" / name
    path.write_bytes(content)
    if size:
        with path.open("r+b") as file:
            file.truncate(size)


def many_adds(victim: Victim) -> None:
    line = json.dumps(add("x.parquet", partitionValues={}))
    lines = (line.replace("x.parquet", f"{i}.parquet") for i in range(20_000))
    victim.commit("networks", "\n".join(lines))


def many_commits(victim: Victim) -> None:
    for i in range(5_000):
        write(victim, f"{i + 2:020}.json", b'{"commitInfo":{}}')


def deep_checkpoint(victim: Victim) -> None:
    """Let Delta itself write a checkpoint of shallow statistics, and make those deep."""
    table = DeltaTable(victim.path / "networks")
    table.create_checkpoint()
    (path,) = (victim.path / "networks" / "_delta_log").glob("*.parquet")
    rows = pq.read_table(path)
    actions = rows.to_pylist()
    for action in actions:
        if action["add"]:
            action["add"]["stats"] = "[" * 50_000 + "]" * 50_000
    pq.write_table(pa.Table.from_pylist(actions, schema=rows.schema), path, compression="zstd")
    for commit in victim.log("networks"):
        commit.unlink()


ODD: dict[str, Plant] = {
    "no line that is JSON": lambda v: v.commit("networks", b"\x00\xff" * 1000),
    "an empty commit": lambda v: v.commit("networks", ""),
    "a line of 100 MB": lambda v: v.commit(
        "networks", '{"commitInfo":{"x":"' + "a" * 10**8 + '"}}'
    ),
    "a line that is nested deeply": lambda v: v.commit("networks", '{"add":' * 100_000),
    "many lines": lambda v: v.commit("networks", '{"txn":{"appId":"a","version":1}}\n' * 10**6),
    "many files": many_adds,
    "many commits": many_commits,
    "a commit of a terabyte": lambda v: write(v, f"{2:020}.json", size=1 << 40),
    "a gigantic version": lambda v: write(v, f"{10**19:020}.json", b"{}"),
    "more than any version": lambda v: write(v, "9" * 20 + ".json", b"{}"),
    "a version of many digits": lambda v: write(v, "1" * 200 + ".json", b"{}"),
    "a version of other digits": lambda v: write(v, "²".rjust(20, "0") + ".json", b"{}"),
    "a checkpoint of garbage": lambda v: write(v, f"{1:020}.checkpoint.parquet", b"PAR1" * 9),
    "a checkpoint of a terabyte": lambda v: write(
        v, f"{1:020}.checkpoint.parquet", b"PAR1", 1 << 40
    ),
    "a checkpoint with a commit that is nested deeply": deep_checkpoint,
    "a last checkpoint of garbage": lambda v: write(v, "_last_checkpoint", b"\xff{"),
    "a last checkpoint elsewhere": lambda v: write(
        v, "_last_checkpoint", b'{"version":9223372036854775807,"size":1,"parts":1000000000}'
    ),
    "a last checkpoint of a terabyte": lambda v: write(v, "_last_checkpoint", size=1 << 40),
    "two of one version": lambda v: write(v, "00000000000000000001.json.tmp", b"{}"),
    "a folder as a commit": lambda v: Path(v.log("networks")[0].parent, f"{2:020}.json").mkdir(),
    "a first commit that is gone": lambda v: v.log("networks")[0].unlink(),
    "no log at all": lambda v: shutil.rmtree(v.path / "networks" / "_delta_log"),
    "protocol of the future": lambda v: v.commit(
        "networks", {"protocol": {"minReaderVersion": 99, "minWriterVersion": 99}}
    ),
    "a schema of another table": lambda v: v.commit(
        "networks",
        {
            "metaData": {
                "id": "x",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": '{"type":"struct","fields":[{"name":"network","type":"integer",'
                '"nullable":true,"metadata":{}}]}',
                "partitionColumns": [],
                "configuration": {},
            }
        },
    ),
    "a schema that is nested deeply": lambda v: v.commit(
        "networks",
        {
            "metaData": {
                "id": "x",
                "format": {"provider": "parquet", "options": {}},
                "schemaString": '{"type":"array","elementType":' * 20_000,
                "partitionColumns": [],
                "configuration": {},
            }
        },
    ),
}


@pytest.mark.parametrize("kind", ODD)
def test_an_odd_log_is_refused_or_costs_its_own_table_only(victim: Victim, kind: str) -> None:
    ODD[kind](victim)
    done = victim("networks", "list", "-f", "csv")
    assert done.code == 1 or b"net" in done.stdout
    victim.numbers_are_true_or_refused()
