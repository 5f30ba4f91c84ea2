"""One person builds, another fetches: remotes on a folder and on S3, one experiment through git, fresh or not."""

import json
import re
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from tests.pages import documented

from .conftest import Checkout, ran

pytestmark = [pytest.mark.pipeline, pytest.mark.xdist_group("small")]
KEYS = {"access_key_id": "somebody", "secret_access_key": "secret"}


@pytest.fixture
def bucket() -> Iterator[dict[str, str]]:
    """An empty bucket of an S3 server on this machine: the remote's settings, address included."""
    from moto.server import ThreadedMotoServer

    server = ThreadedMotoServer(ip_address="127.0.0.1", port=0, verbose=False)
    server.start()
    try:
        host, port = server.get_host_and_port()
        settings = {"endpointurl": f"http://{host}:{port}", "region": "us-east-1", **KEYS}
        names = {"aws_access_key_id": KEYS["access_key_id"], "aws_secret_access_key": KEYS["secret_access_key"]}
        client = boto3.client("s3", endpoint_url=settings["endpointurl"], region_name=settings["region"], **names)
        client.create_bucket(Bucket="team")
        yield settings
        assert client.list_objects_v2(Bucket="team")["KeyCount"] > 0, "nothing was pushed"
    finally:
        server.stop()


def add_remote(checkout: Checkout, url: str, settings: dict[str, str]) -> None:
    """As README says: in .dvc/config.local, where a key belongs too."""
    checkout.dvc("remote", "add", "--quiet", "--local", "--default", "shared", url)
    for name, value in settings.items():
        checkout.dvc("remote", "modify", "--quiet", "--local", "shared", name, value)


def clone(checkout: Checkout, folder: Path) -> Checkout:
    other = Checkout(folder, dict(checkout.env))
    checkout.run("git", "clone", "--quiet", ".", str(folder))
    return other


@pytest.mark.graph
def test_a_second_clone_with_an_s3_remote_rebuilds_nothing(small, tmp_path, bucket):
    add_remote(small, "s3://team/store", bucket)
    small.documented("dvc push")
    second = clone(small, tmp_path / "second")
    add_remote(second, "s3://team/store", bucket)
    second.documented("dvc pull")
    assert "up to date" in second.dvc("status") and ran(second.dvc("repro")) == []
    assert second.outs() == small.outs()
    assert "in sync" in second.documented("dvc status --cloud")


@pytest.mark.parametrize(
    "line",
    [
        documented("dvc remote add -d shared /srv/team/supertiny"),
        documented("dvc remote add -d shared s3://bucket/supertiny"),
        documented("dvc remote add -d shared ssh://user@host/supertiny"),
    ],
)
def test_an_address_goes_to_git_and_a_key_does_not(small, line):
    """Nobody is asked here; what a remote does is tried on a folder and on S3."""
    address = line.split()[-1]
    small.run("bash", "-ec", line)
    assert f"url = {address}\n" in (small.path / ".dvc/config").read_text()
    if address.startswith("s3"):
        small.documented("dvc remote modify --local shared access_key_id ...")
        assert "access_key_id" in (small.path / ".dvc/config.local").read_text()
    assert "--default" in small.documented("dvc remote add --help")
    assert small.run("git", "status", "--porcelain").split() == ["M", ".dvc/config"]


def test_a_clone_that_changes_one_stage_pulls_what_it_needs_and_runs_the_rest(small, tmp_path):
    add_remote(small, str(tmp_path / "store"), {})
    small.dvc("push", "--quiet")
    second = clone(small, tmp_path / "second")
    add_remote(second, str(tmp_path / "store"), {})
    second.edit("stages/report.py", "20.0", "19.0")
    assert ran(second.documented("dvc repro --pull")) == ["report"], "with the folder of others' outs that it reads"
    assert json.loads((second.path / "metrics/summary.json").read_text())["sft"]["gflops"] == 19.0


@pytest.mark.parametrize("store", ["folder", pytest.param("s3", marks=pytest.mark.graph)])
def test_a_colleague_fetches_one_experiment_without_running_it(small, tmp_path, store, request):
    settings = request.getfixturevalue("bucket") if store == "s3" else {}
    url = "s3://team/store" if store == "s3" else str(tmp_path / "store")
    hub = tmp_path / "hub.git"
    small.run("git", "init", "--quiet", "--bare", "--initial-branch", "main", str(hub))
    small.run("git", "remote", "add", "origin", str(hub))
    small.run("git", "push", "--quiet", "origin", "main")
    add_remote(small, url, settings)
    small.dvc("push", "--quiet")
    small.documented("dvc exp run -S distill.mu=0.9", "--name high")
    small.dvc("exp", "run", "--name", "harsh", "-S", "distill.mu=0.1")
    small.documented("dvc exp push origin <name>", name="high")

    other = Checkout(tmp_path / "colleague", dict(small.env))
    small.run("git", "clone", "--quiet", str(hub), str(other.path))
    add_remote(other, url, settings)
    listed = other.documented("dvc exp list origin")
    assert "high" in listed and "harsh" not in listed
    other.documented("dvc exp pull origin <name>", name="high")
    other.documented("dvc exp apply <name>", name="high")
    assert "mu: 0.9" in (other.path / "params.yaml").read_text()
    assert (other.path / "data/model/weights").read_text() == "0.7"
    assert "up to date" in other.dvc("status") and ran(other.dvc("repro")) == []


def test_a_clone_without_data_knows_whether_the_results_are_of_its_code(small, tmp_path):
    bare = clone(small, tmp_path / "bare")
    dry = "dvc repro --dry --allow-missing"
    assert ran(bare.documented("dvc repro --dry --allow-missing")) == []
    bare.edit("stages/report.py", "20.0", "19.0")
    assert "failed to reproduce 'report'" in bare.run(*dry.split(), fails=True), "to run, and without its data"
    bare.run("git", "checkout", "--quiet", "stages")
    bare.set("params.yaml", distill__mu=0.5)
    assert "distill" in ran(bare.run(*dry.split()))
    bare.run("git", "checkout", "--quiet", "params.yaml")
    lock = (bare.path / "dvc.lock").read_text()
    spliced = re.sub(r"(?s)(\n  report:.*?path: data/model\n.*?md5: )\w+", r"\g<1>" + "0" * 32 + ".dir", lock)
    assert spliced != lock
    (bare.path / "dvc.lock").write_text(spliced)  # as a merge of two branches may leave it
    assert "failed to reproduce 'report'" in bare.run(*dry.split(), fails=True)


def test_two_branches_that_both_ran_are_merged_by_running_what_is_new(small, tmp_path):
    """The pages' recipe for a conflict in dvc.lock and metrics/."""
    add_remote(small, str(tmp_path / "store"), {})
    small.dvc("push", "--quiet")
    small.run("git", "remote", "add", "origin", str(small.path))
    small.run("git", "checkout", "--quiet", "-b", "mu")
    small.set("params.yaml", distill__mu=0.6)
    small.dvc("repro")
    small.commit()
    small.run("git", "checkout", "--quiet", "main")
    small.edit("stages/report.py", "20.0", "19.0")
    small.dvc("repro")
    small.commit()
    small.run("git", "checkout", "--quiet", "mu")
    small.dvc("checkout", "--quiet")
    small.run("git", "fetch", "--quiet", "origin")
    assert "CONFLICT" in small.documented(
        "git merge origin/main || git checkout --ours dvc.lock data/code data/machine.json metrics"
    )
    said = small.documented('git add -A && dvc repro --pull && git add -A && git commit -m "Merge main; run anew"')
    assert ran(said) == ["report"]
    summary = json.loads((small.path / "metrics/summary.json").read_text())
    assert summary["tiny_kd"]["ar"] == 0.8 and summary["sft"]["gflops"] == 19.0
    assert "up to date" in small.dvc("status")
