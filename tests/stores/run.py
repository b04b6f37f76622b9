"""Keeps the records of rollouts in servers of others: SeaweedFS and moto as S3, Azurite as Azure Blob, and a folder.

    tests/stores/run.py [PATH-OF-AZURITE]

It runs with the Python in which requirements.txt is installed. With LOCKSTEP_KILLS=all every request of a rollout is
tried as the one of a kill and of a pause, otherwise every 50th.
"""

import base64
import hashlib
import hmac
import json
import os
import pathlib
import re
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request
from email.utils import formatdate

HERE = pathlib.Path(__file__).resolve().parent
SCRIPTS = pathlib.Path(sys.executable).parent
# The account of the emulator, which everybody knows.
ACCOUNT = "devstoreaccount1"
KEY = "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
S3 = {"AWS_ACCESS_KEY_ID": "lockstep", "AWS_SECRET_ACCESS_KEY": "lockstep-secret", "AWS_REGION": "us-east-1"}
WAIT_S = 60


def free_ports(count):
    """Ports below 50000, because SeaweedFS adds 10000 for a second one."""
    held, ports = [], []
    for port in range(20000 + os.getpid() % 20000, 50000):
        try:
            pair = [socket.create_server(("127.0.0.1", number)) for number in (port, port + 10000)]
        except OSError:
            continue
        held += pair
        ports.append(port)
        if len(ports) == count:
            break
    for one in held:
        one.close()
    return ports


def wait_for(port, process, name):
    began = time.monotonic()
    while time.monotonic() - began < WAIT_S:
        if process.poll() is not None:
            break
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
            return
        except OSError:
            time.sleep(0.2)
    sys.exit(f"{name} does not listen on its port")


def make_bucket(endpoint):
    """A server may listen before it can do anything."""
    import boto3
    from botocore.config import Config
    from botocore.exceptions import BotoCoreError, ClientError

    client = boto3.client(
        "s3",
        endpoint_url=endpoint,
        aws_access_key_id=S3["AWS_ACCESS_KEY_ID"],
        aws_secret_access_key=S3["AWS_SECRET_ACCESS_KEY"],
        region_name=S3["AWS_REGION"],
        config=Config(s3={"addressing_style": "path"}, retries={"max_attempts": 1}),
    )
    began = time.monotonic()
    while True:
        try:
            client.create_bucket(Bucket="records")
            return
        except client.exceptions.BucketAlreadyOwnedByYou:
            return
        except (BotoCoreError, ClientError) as error:
            if time.monotonic() - began > WAIT_S:
                sys.exit(f"{endpoint}: no bucket: {error}")
            time.sleep(0.5)


def make_container(endpoint):
    date, version = formatdate(usegmt=True), "2021-08-06"
    named = f"x-ms-date:{date}\nx-ms-version:{version}\n"
    text = "PUT" + "\n" * 12 + named + f"/{ACCOUNT}/{ACCOUNT}/records\nrestype:container"
    code = base64.b64encode(hmac.new(base64.b64decode(KEY), text.encode(), hashlib.sha256).digest()).decode()
    headers = {"x-ms-date": date, "x-ms-version": version, "Authorization": f"SharedKey {ACCOUNT}:{code}"}
    request = urllib.request.Request(f"{endpoint}/records?restype=container", method="PUT", headers=headers)
    urllib.request.urlopen(request, timeout=20).read()


def main():
    azurite = sys.argv[1] if len(sys.argv) > 1 else str(HERE / "node_modules/.bin/azurite-blob")
    master, volume, filer, admin, s3, moto, azure, iceberg, lance = free_ports(9)
    started = []
    with tempfile.TemporaryDirectory() as folder:
        def start(name, *command):
            os.mkdir(f"{folder}/{name}")
            with open(f"{folder}/{name}.log", "w") as log:
                env = {**os.environ, **S3}
                started.append(subprocess.Popen(command, cwd=f"{folder}/{name}", env=env, stdout=log, stderr=log))
            return started[-1]

        try:
            weed = start(
                "seaweedfs", SCRIPTS / "weed", "mini", f"-dir={folder}/seaweedfs", "-ip=127.0.0.1", "-ip.bind=127.0.0.1",
                f"-master.port={master}", f"-volume.port={volume}", f"-filer.port={filer}", f"-admin.port={admin}",
                f"-s3.port={s3}", f"-s3.port.iceberg={iceberg}", f"-s3.port.lance={lance}", "-master.telemetry=false",
                "-webdav=false",
            )  # fmt: skip
            other = start("moto", SCRIPTS / "moto_server", "-H", "127.0.0.1", "-p", str(moto))
            blob = start(
                "azurite", azurite, "--blobHost", "127.0.0.1", "--blobPort", str(azure), "--silent", "--location", f"{folder}/azurite",
                "--skipApiVersionCheck", "--disableTelemetry",
            )  # fmt: skip
            for port, process, name in [(s3, weed, "seaweedfs"), (moto, other, "moto"), (azure, blob, "azurite")]:
                wait_for(port, process, name)
            for port in (s3, moto):
                make_bucket(f"http://127.0.0.1:{port}")
            make_container(f"http://127.0.0.1:{azure}/{ACCOUNT}")
            of_s3 = {**S3, "AWS_ALLOW_HTTP": "true", "place": "s3://records/lockstep"}
            stores = {
                "a folder": {"place": f"file:{folder}/records"},
                "SeaweedFS": {**of_s3, "AWS_ENDPOINT_URL": f"http://127.0.0.1:{s3}"},
                "moto": {**of_s3, "AWS_ENDPOINT": f"http://127.0.0.1:{moto}"},
                "Azurite": {
                    "place": "az://records/lockstep",
                    "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
                    "AZURE_STORAGE_ACCOUNT_KEY": KEY,
                    "AZURE_STORAGE_ENDPOINT": f"http://127.0.0.1:{azure}/{ACCOUNT}",
                    "AZURE_ALLOW_HTTP": "true",
                },
            }
            pathlib.Path(f"{folder}/stores.json").write_text(json.dumps(stores))
            command = ["cargo", "test", "--quiet", "--features", "object_store", "--test", "all", "process::stores", "--", "--include-ignored", "--nocapture"]
            ran = subprocess.run(
                command, cwd=HERE.parent.parent, env={**os.environ, "LOCKSTEP_STORES": f"{folder}/stores.json"},
                stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
            )  # fmt: skip
            told = {name: re.search(rf"{name}: .*", ran.stdout) for name in stores}
            missing = [name for name, found in told.items() if not found]
            if ran.returncode != 0 or missing:
                sys.exit(f"{ran.stdout[-6000:]}\nnot done: {', '.join(missing) or 'see above'}")
            for found in told.values():
                print(found[0])
        finally:
            for process in started:
                process.terminate()
            for process in started:
                process.wait(20)


main()
