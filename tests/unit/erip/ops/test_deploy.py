"""Configuration files from templates: what stands in them, and what is refused."""

import re
import shutil
import stat
import subprocess
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from erip.ops.deploy import inventory
from erip.ops.deploy.__main__ import main
from erip.ops.deploy.balancer import Balancer, Rules
from erip.ops.deploy.circles import Circles
from erip.ops.deploy.errors import DeployError
from erip.ops.deploy.identity import identity
from erip.ops.deploy.nodes import Address, EtcdDoor, EtcdPeer, PatroniNode, PatroniSecrets, PostgresPeer, RedisNode
from erip.ops.deploy.templates import FOLDER, render
from erip.ops.stack.binaries import SYSTEM_FOLDERS
from tests.support.programs import needs

EXAMPLE = FOLDER / "inventory.example.toml"
SECRETS = {f"ERIP_DEPLOY_{name}_PASSWORD": f"long-enough-{name.lower()}" for name in inventory.SECRETS}


def a_patroni():
    return PatroniNode(
        PostgresPeer("postgres-1", "127.0.0.1", 5432, 8008),
        (EtcdPeer("etcd", "127.0.0.1", 2379, 2380),) * 3,
        "erip",
        Path("/data"),
        Path("/pgpass"),
        Path("/bin"),
        PatroniSecrets("superuser", "replication", "rewind", "rest", "etcd"),
        identity(Path("/tls"), "postgres-1"),
    )


def a_balancer(**rules):
    webs = [Address(f"web-{n}", "127.0.0.1", 8000 + n) for n in (1, 2)]
    return Balancer(webs, [PostgresPeer("postgres-1", "127.0.0.1", 5432, 8008)], 80, 5000, 5001, Rules(**rules))


def haproxy_accepts(text, tmp_path):
    program = shutil.which("haproxy", path=SYSTEM_FOLDERS)
    assert program is not None
    file = tmp_path / "haproxy.cfg"
    file.write_text(text)
    done = subprocess.run([program, "-c", "-f", str(file)], capture_output=True, text=True, check=False)
    return done.returncode == 0, done.stdout + done.stderr


@needs("haproxy")
@pytest.mark.parametrize("balance", ["leastconn", "roundrobin", "source"])
def test_haproxy_accepts_every_rule(balance, tmp_path):
    accepted, said = haproxy_accepts(a_balancer(balance=balance, weights=(("web-1", 3),)).render(), tmp_path)
    assert accepted, said


@needs("haproxy")
def test_haproxy_accepts_the_door_before_etcd(tmp_path):
    peer = EtcdPeer("etcd-1", "127.0.0.1", 2379, 2380)
    Circles(tmp_path / "ca").of_door(tmp_path / "tls", peer)
    door = EtcdDoor(
        peer, tmp_path / "client.sock:0", ("postgres-1", "postgres-2"), identity(tmp_path / "tls", "etcd-1")
    )
    accepted, said = haproxy_accepts(door.render(), tmp_path)
    assert accepted, said


def test_a_site_gets_the_certificates_that_its_files_name(tmp_path, monkeypatch, capsys):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    words = [str(EXAMPLE), "--out", str(tmp_path / "out"), "--ca", str(tmp_path / "ca")]
    assert main(words) == 0
    assert "34 of 34 certificates are new" in capsys.readouterr().out
    for name, inside in (
        *(("etcd-1", "peer"), ("etcd-1", "door"), ("postgres-3", "etcd"), ("postgres-3", "postgres")),
        *(
            ("postgres-3", "rest"),
            ("redis-2", "redis"),
            ("sentinel-2", "redis"),
            ("web-1", "web"),
            ("flower", "flower"),
        ),
    ):
        folder = tmp_path / "out" / name / "tls" / inside
        assert stat.S_IMODE((folder / f"{name}.pem").stat().st_mode) == 0o600
        assert (folder / "ca.crt").exists()
    assert "/etc/erip/tls/peer/etcd-1.pem" in (tmp_path / "out" / "etcd-1" / "etcd.yml").read_text()
    assert "/etc/erip/tls/door/etcd-1.pem" in (tmp_path / "out" / "etcd-1" / "door.cfg").read_text()
    assert "/etc/erip/tls/etcd/postgres-3.pem" in (tmp_path / "out" / "postgres-3" / "patroni.yml").read_text()
    # Whatever file of a site names a certificate names one that was made.
    for file in (path for path in (tmp_path / "out").rglob("*") if path.suffix in (".conf", ".yml", ".cfg", ".env")):
        home = "haproxy" if file.suffix == ".cfg" and file.parent.name == "haproxy" else file.parent.name
        folders = [tmp_path / "out" / one / "tls" for one in (home, "platform")]
        named = set(re.findall(r"/etc/erip/tls/([\w./-]+)", file.read_text()))
        missing = [one for one in named if not any((folder / one).is_file() for folder in folders)]
        assert (named or file.name == "keeper.toml", missing) == (named, []), file
    # Made once: the same command later renews only what is soon over
    assert main(words) == 0
    assert "0 of 34 certificates are new" in capsys.readouterr().out


@needs("haproxy", "openssl")
def test_a_certificate_means_tls_1_3(tmp_path):
    pem, key = tmp_path / "site.pem", tmp_path / "key.pem"
    words = f"openssl req -x509 -newkey rsa:2048 -nodes -subj /CN=localhost -days 1 -out {pem} -keyout {key}"
    subprocess.run(words.split(), check=True, capture_output=True)
    pem.write_text(pem.read_text() + key.read_text())
    text = a_balancer(certificate=str(pem)).render()
    assert f"ssl crt {pem}" in text
    assert "ssl-min-ver TLSv1.3" in text
    accepted, said = haproxy_accepts(text, tmp_path)
    assert accepted, said


def test_the_limits_and_what_may_be_repeated_stand_in_the_file():
    text = a_balancer().render()
    for line in (
        "maxconn 20000",
        "queue(web) ge 5000",
        "inter 2s",
        "rise 1 maxconn 16 ",
        "timeout queue 1s",
        "use_backend web_waiting if { path /api/v1/events/stream } or { method POST } { req.hdr(Prefer) -i",
        "default-server maxconn 2000",
        "default-server maxconn 64",
        "default-server maxconn 200",
        "option redispatch",
        "option http-buffer-request",
        "sc0_conn_cur gt 1000",
    ):
        assert line in text, line
    assert text.count("timeout queue 1s") == 3, "who waits for PostgreSQL is not hurried by it"
    assert "cookie" not in text
    assert "stick on" not in text
    assert "stick match" not in text


def test_no_backend_sends_a_request_again_that_has_reached_a_web_process():
    text = a_balancer().render()
    repeated = [line.strip() for line in text.splitlines() if line.strip().startswith("retry-on")]
    assert repeated == ["retry-on conn-failure"] * 4
    webs = [part for part in text.split("\nbackend ") if part.startswith("web")]
    assert len(webs) == 4
    assert all("retry-on conn-failure\n" in part for part in webs)


def test_rules_come_from_the_environment_and_every_fault_is_named():
    assert Rules.from_environment({"ERIP_LB_BALANCE": "source", "ERIP_LB_WEIGHTS": "web-1=2"}).weights == (
        ("web-1", 2),
    )
    with pytest.raises(DeployError) as caught:
        Rules.from_environment(
            {
                "ERIP_LB_BALANCE": "random",
                "ERIP_LB_WEIGHTS": "web-1=0,web-2",
                "ERIP_LB_QUEUE": "many",
                "ERIP_LB_REDIRECT_PORT": "65536",
            }
        )
    assert len(caught.value.faults) == 5
    assert Rules.from_environment({"ERIP_LB_CERTIFICATE": "none"}, certificate="own").certificate == ""
    assert Rules.from_environment({}, certificate="own").certificate == "own"


@needs("haproxy")
def test_the_servers_of_a_set_that_is_not_active_have_no_weight(tmp_path):
    webs = [Address(name, "10.0.0.1", 8000) for name in ("blue-1", "blue-12", "green-1", "blue-green-1")]
    known = replace(a_balancer(), web=webs, active="blue")
    text = known.render()
    for line in filter(lambda line: line.strip().startswith("server ") and ":8000" in line, text.splitlines()):
        name = line.split()[1].removesuffix("-unchecked")
        assert line.split("weight ")[1].split()[0] == ("100" if name in ("blue-1", "blue-12") else "0"), line
    accepted, said = haproxy_accepts(text, tmp_path)
    assert accepted, said
    with pytest.raises(DeployError, match="there is no set red; there is blue, blue-green, green"):
        replace(known, active="red").render()


def test_the_two_sets_of_the_documentation(tmp_path):
    page = (FOLDER.parent / "docs" / "how-to" / "upgrade.md").read_text()
    site = {**inventory.load(EXAMPLE), **tomllib.loads(page.partition("```toml\n")[2].partition("```")[0])}
    text = inventory.files(site, SECRETS)["haproxy/haproxy.cfg"]
    assert "stats socket /run/erip-haproxy/admin.sock mode 600 level admin" in text
    assert "server green-2 10.0.0.22:8001 weight 0 verifyhost green-2" in text
    assert "server blue-2 10.0.0.22:8000 weight 100 verifyhost blue-2" in text
    for key, wrong in (("active", 1), ("admin", ["a"])):
        with pytest.raises(DeployError, match=f"balancer.{key}: .* is not a text"):
            inventory.files({**site, "balancer": {**site["balancer"], key: wrong}}, SECRETS)


def test_a_weight_for_a_web_process_that_is_not_there_is_refused():
    with pytest.raises(DeployError, match="web-3"):
        a_balancer(weights=(("web-3", 2),)).render()


def test_a_value_cannot_break_out_of_its_place():
    with pytest.raises(DeployError, match="password"):
        RedisNode("r", "127.0.0.1", 1, Path("/d"), "x\nrequirepass y", None).render()


def test_a_value_that_a_template_lacks_is_refused():
    with pytest.raises(DeployError, match="no value for"):
        render("redis/redis.conf", {"listen": "127.0.0.1"})


def test_patronis_file_is_yaml_with_the_measured_parameters():
    found = yaml.safe_load(a_patroni().render())
    dcs = found["bootstrap"]["dcs"]
    assert (dcs["ttl"], dcs["loop_wait"], dcs["retry_timeout"]) == (20, 1, 3)
    assert (dcs["synchronous_mode"], dcs["synchronous_node_count"]) == ("quorum", 1)
    assert dcs["failsafe_mode"] is True
    assert dcs["primary_start_timeout"] == 0


def a_site(tmp_path, monkeypatch, *words, **more):
    """The folder of the example's files, with other values at its top."""
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    head = "".join(f"{name} = {str(value).lower()}\n" for name, value in more.items())
    site = tmp_path / "site.toml"
    site.write_text(head + EXAMPLE.read_text() + f'[paths]\ntls = "{tmp_path}/out/haproxy/tls"\n')
    assert main([str(site), "--out", str(tmp_path / "out"), *words]) == 0
    return tmp_path / "out"


@needs("haproxy")
def test_haproxy_accepts_a_site_whose_every_port_is_encrypted(tmp_path, monkeypatch):
    monkeypatch.setenv("ERIP_LB_REDIRECT_PORT", "80")
    out = a_site(tmp_path, monkeypatch, "--ca", str(tmp_path / "ca"))
    text = (out / "haproxy" / "haproxy.cfg").read_text()
    accepted, said = haproxy_accepts(text, tmp_path)
    assert accepted, said
    plain = [line.split()[1] for line in text.splitlines() if line.strip().startswith("bind") and " ssl " not in line]
    assert plain == ["*:80", "*:5000", "*:5001"], "browsers are sent away; PostgreSQL's bytes are passed on unread"
    servers = [line for line in text.splitlines() if line.strip().startswith("server ")]
    assert len(servers) > 15
    assert all("verifyhost" in line for line in servers)
    for file in (*out.glob("redis-*/redis.conf"), *out.glob("sentinel-*/sentinel.conf")):
        assert "\nport 0\n" in file.read_text(), file
        assert "tls-auth-clients yes" in file.read_text(), file
    for file in out.glob("postgres-*/patroni.yml"):
        found = yaml.safe_load(file.read_text())
        assert found["restapi"]["verify_client"] == "required"
        rules = found["postgresql"]["pg_hba"]
        assert all(rule.startswith(("hostssl", "local", "hostnossl")) for rule in rules), rules
    files = [*out.glob("web-*/tls.env"), *out.glob("platform/tls.env")]
    assert len(files) == 3
    assert all("ERIP_BROKER_CA=" in file.read_text() for file in files)


def test_each_kind_of_process_has_a_login_to_redis_if_its_password_is_there(tmp_path, monkeypatch, capsys):
    assert "\nuser " not in (a_site(tmp_path, monkeypatch) / "redis-1" / "redis.conf").read_text()
    for name in inventory.LOGINS:
        monkeypatch.setenv(f"ERIP_DEPLOY_{name}_PASSWORD", f"long-enough-{name.lower()}")
    out = a_site(tmp_path, monkeypatch)
    redis, sentinel = (out / name for name in ("redis-2/redis.conf", "sentinel-2/sentinel.conf"))
    users = re.findall(r"^user (\S+) on #[0-9a-f]{64} ", redis.read_text(), re.MULTILINE)
    assert users == ["web", "worker", "leader", "flower", "replica", "sentinel"]
    assert "masteruser replica\nmasterauth long-enough-redis_replica\n" in redis.read_text()
    text = sentinel.read_text()
    assert "sentinel auth-user erip sentinel\nsentinel auth-pass erip long-enough-redis_sentinel\n" in text
    assert "sentinel sentinel-pass long-enough-sentinel_peer\n" in text
    # One without the others is a slip of the pen.
    monkeypatch.delenv("ERIP_DEPLOY_REDIS_WORKER_PASSWORD")
    assert main([str(tmp_path / "site.toml"), "--out", str(tmp_path / "more")]) == 2
    assert "ERIP_DEPLOY_REDIS_WORKER_PASSWORD: set it" in capsys.readouterr().err


def test_a_site_in_the_clear_says_so_itself(tmp_path, monkeypatch):
    out = a_site(tmp_path, monkeypatch, tls=False)
    assert " ssl " not in (out / "haproxy" / "haproxy.cfg").read_text()
    assert "tls-port" not in (out / "redis-1" / "redis.conf").read_text()
    assert not list(out.rglob("*.env"))


def test_a_site_becomes_files_that_only_their_owner_reads(tmp_path, monkeypatch, capsys):
    for name, value in SECRETS.items():
        monkeypatch.setenv(name, value)
    assert main([str(EXAMPLE), "--out", str(tmp_path / "out")]) == 0
    made = [path for path in (tmp_path / "out").rglob("*") if path.is_file()]
    assert len(made) == 23
    assert {stat.S_IMODE(path.stat().st_mode) for path in made} == {0o600}
    for path in made:
        if path.suffix == ".yml":
            assert yaml.safe_load(path.read_text())


def test_a_site_with_faults_is_refused_fault_by_fault(tmp_path, monkeypatch, capsys):
    for name in SECRETS:
        monkeypatch.delenv(name, raising=False)
    site = tmp_path / "site.toml"
    site.write_text('[[redis]]\nname = "a"\nhost = "h"\nport = 0\n' * 3 + "[balancer]\nwebport = 1\n")
    assert main([str(site), "--out", str(tmp_path / "out")]) == 2
    said = capsys.readouterr().err
    for fault in (
        "redis[0].port: 0 is not a port number",
        "redis: 'a' is there twice",
        "etcd: at least 3 are needed",
        "balancer.webport: not known",
        "balancer.names: those by which HAProxy is reached",
        "ERIP_DEPLOY_ETCD_PASSWORD: set it",
    ):
        assert fault in said
    assert not (tmp_path / "out").exists()
