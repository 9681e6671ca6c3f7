"""The verifier names what was done to a log, and where; and finds nothing in one that is whole."""

import json
import os
import random
import subprocess
import sys

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given, settings
from hypothesis import strategies as st

from erip.audit import chain, erip_verify
from tests.unit.erip.audit.history import KEY, MANIPULATIONS, PUBLIC, History, anything

#: histories for each manipulation; ERIP_AUDIT_SEEDS=100 makes more than a thousand manipulations
SEEDS = int(os.environ.get("ERIP_AUDIT_SEEDS", "25"))


def found(history: History, *, witness: bool = True) -> list[str]:
    log, _ = erip_verify.verify(history.lines(), history.sent if witness else [], PUBLIC)
    return [str(each) for each in log.findings]


@pytest.mark.parametrize("witness", [True, False])
def test_a_log_that_is_whole_is_whole(witness):
    for seed in range(20):
        assert found(anything(random.Random(seed)), witness=witness) == []


@pytest.mark.parametrize("manipulate", MANIPULATIONS, ids=lambda each: each.__name__)
def test_each_manipulation_is_named_at_its_position(manipulate):
    for seed in range(SEEDS):
        chance = random.Random(seed)
        history = anything(chance)
        expected = manipulate(history, chance.randint(1, history.log.size))

        assert found(history)[0:1] == [] if expected == "" else found(history)[0].startswith(expected), (seed, expected)


@pytest.mark.parametrize("manipulate", MANIPULATIONS, ids=lambda each: each.__name__)
def test_without_what_was_sent_out_it_is_still_noticed(manipulate):
    """Except what takes the newest checkpoints away, too: then only their age tells."""
    for seed in range(20):
        chance = random.Random(seed)
        history = anything(chance)
        expected = manipulate(history, chance.randint(1, history.log.size))

        assert found(history, witness=False) or expected == "" or manipulate is History.truncate


def test_a_checkpoint_that_was_replayed_is_noticed_though_nothing_else_changed():
    history = History.of([3, 4, 5, 6, 7, 8])
    history.checkpoints.append(history.checkpoints[0])

    assert found(history)[0].startswith("replayed: checkpoint 1")


def test_checkpoints_that_are_missing_in_what_was_sent_out_are_named_where_their_leaves_are_missing_too():
    history = History.of([2] * 12, every=2)
    assert len(history.sent) == 6
    del history.sent[2:4]
    assert found(history) == [
        "not sent: checkpoints 3 to 4, with the leaves of positions 9 to 16, are not in what was sent out"
    ]


def test_a_copy_that_failed_and_whose_leaves_came_with_the_next_one_is_no_finding():
    history = History.of([2] * 12, every=2)
    two, four = (json.loads(history.sent[at]) for at in (1, 3))
    three = json.loads(history.sent.pop(2))
    made_up = history.sent[2].decode().replace(f'"from":{four["from"]}', f'"from":{two["checkpoint"]["size"]}')
    history.sent[2] = made_up.replace(four["leaves"], three["leaves"] + four["leaves"]).encode()
    assert found(history) == []
    # The lines of syslog have no leaves, and a datagram may be lost.
    history.sent = [line.encode() for number, line in enumerate(history.checkpoints) if number != 3]
    assert found(history) == []


def test_what_was_sent_out_and_ends_too_soon_is_said(tmp_path, capsys):
    history = History.of([2] * 12, every=2)
    (tmp_path / "log").write_bytes(b"\n".join(history.lines()))
    (tmp_path / "sent").write_bytes(b"\n".join(history.sent[:4]))
    arguments = [str(tmp_path / "log"), "--witness", str(tmp_path / "sent")]

    assert erip_verify.main(arguments) == 0
    assert "ends with checkpoint 4, at position 16; the newest is 6" in capsys.readouterr().out
    assert erip_verify.main([*arguments, "--fresh", "300"]) == 1
    assert "the newest checkpoint that was sent out is older" in capsys.readouterr().out


@pytest.mark.parametrize("nothing", [b"", b"\n \n"])
def test_a_witness_without_a_checkpoint_is_no_witness(nothing, tmp_path, capsys):
    (tmp_path / "log").write_bytes(b"\n".join(History.of([2, 2, 2]).lines()))
    (tmp_path / "sent").write_bytes(nothing)

    assert erip_verify.main([str(tmp_path / "log"), "--witness", str(tmp_path / "sent")]) == 2
    assert "no checkpoint" in capsys.readouterr().err


def test_the_age_of_the_newest_checkpoint_is_judged(tmp_path, capsys):
    (tmp_path / "log").write_bytes(b"\n".join(History.of([2, 2, 2]).lines()))

    assert erip_verify.main([str(tmp_path / "log"), "--fresh", "300"]) == 1
    assert "stale" in capsys.readouterr().out


@given(st.integers(1, 40), st.data())
@settings(max_examples=50, deadline=None)
def test_the_tree_of_the_verifier_is_the_tree_of_the_platform(size, data):
    leaves = [chain.leaf_of(str(number).encode()) for number in range(size)]
    tree = erip_verify.Tree()
    for leaf in leaves:
        tree.add(leaf)
    index = data.draw(st.integers(0, size - 1))
    path = erip_verify.path_of(leaves, index)

    assert tree.root() == chain.Log().with_leaves(leaves).root
    assert path == chain.path_of(leaves, index)
    assert erip_verify.root_by_path(leaves[index], index, size, path) == tree.root()
    assert erip_verify.root_by_path(chain.leaf_of(b"other"), index, size, path) != tree.root()


def test_the_root_is_that_of_rfc_6962():
    """The tree of one empty leaf, and of none: the vectors that Certificate Transparency uses."""
    assert chain.Log().root.hex() == "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
    one = chain.Log().with_leaves([chain.leaf_of(b"")])
    assert one.root.hex() == "6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d"


@given(st.binary(min_size=32, max_size=32), st.binary(max_size=200), st.integers(0, 511))
@settings(max_examples=15, deadline=None)
def test_signatures_are_checked_without_any_library(seed, message, bit):
    key = Ed25519PrivateKey.from_private_bytes(seed)
    public, signature = key.public_key().public_bytes_raw(), key.sign(message)
    wrong = bytearray(signature)
    wrong[bit // 8] ^= 1 << bit % 8

    assert erip_verify.verify_ed25519(public, signature, message)
    assert not erip_verify.verify_ed25519(public, bytes(wrong), message)
    assert not erip_verify.verify_ed25519(public, signature, message + b".")


def test_a_proof_holds_for_its_record_alone():
    history = History.of([3, 4, 5, 6])
    log, _ = erip_verify.verify(history.lines(), (), PUBLIC, keep=9)
    proof = json.loads(json.dumps(erip_verify.prove(log, 9)))

    assert erip_verify.check_proof(proof, PUBLIC) is None
    assert "not in the log" in erip_verify.check_proof({**proof, "record": proof["record"] + " "}, PUBLIC)
    assert "not in the log" in erip_verify.check_proof({**proof, "position": 10}, PUBLIC)
    assert "signature" in erip_verify.check_proof({**proof, "checkpoint": proof["checkpoint"] + " "}, PUBLIC)
    assert "read" in erip_verify.check_proof({}, PUBLIC)


@pytest.mark.parametrize("junk", [b"", b"hello\n", b'{"position":', b'{"checkpoint":{}}\n', b"\x00\xff\n" * 3])
def test_what_is_no_log_is_no_whole_log(junk, tmp_path):
    (tmp_path / "log").write_bytes(junk)

    assert erip_verify.main([str(tmp_path / "log")]) in (1, 2)


def test_it_runs_alone(tmp_path):
    """Without anything of the platform, and without any package."""
    (tmp_path / "log").write_bytes(b"\n".join(History.of([2, 3, 4]).lines()))
    import base64

    done = subprocess.run(
        [sys.executable, "-I", "-S", erip_verify.__file__, "-", "--key", base64.b64encode(PUBLIC).decode()],
        input=(tmp_path / "log").read_bytes(), capture_output=True, cwd=tmp_path, timeout=120, check=False,
    )  # fmt: skip

    assert (done.returncode, done.stderr) == (0, b"")
    assert b"the log is whole" in done.stdout
    assert b"1 signatures were checked" in done.stdout


def test_the_key_is_the_one_that_signs():
    assert KEY.public_key().public_bytes_raw() == PUBLIC
