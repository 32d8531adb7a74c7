"""The service of docs/extending.md under four clients: serial answers, and memory that stays."""

import io
import json
import subprocess
import sys
import time
import urllib.error
import urllib.request
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from page_examples import write
from PIL import Image

from ssd_np import Detector, ShapesDataset

ALLOWED = 20  # MB that the memory may grow by, after the first requests
SERVE = """
from a_service import app
from werkzeug.serving import make_server
server = make_server("127.0.0.1", 0, app, threaded=True)
print(server.port, flush=True)
server.serve_forever()
"""


@pytest.fixture
def service(tmp_path):
    """A process that serves the page's example, and its address on this machine."""
    pytest.importorskip("flask")
    write("A service", tmp_path)
    with open(tmp_path / "log.txt", "w") as log:
        process = subprocess.Popen(
            [sys.executable, "-c", SERVE], cwd=tmp_path, stdout=subprocess.PIPE, stderr=log
        )
        try:
            port = process.stdout.readline().decode().strip()
            assert port, (tmp_path / "log.txt").read_text()
            yield process, f"http://127.0.0.1:{port}/detect"
        finally:
            process.kill()
            process.wait()
            process.stdout.close()


def ask(address, content):
    with urllib.request.urlopen(urllib.request.Request(address, content), timeout=60) as answer:
        return json.load(answer)


def resident(process):
    """MB, where the machine tells."""
    status = Path(f"/proc/{process.pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def png(image):
    buffer = io.BytesIO()
    Image.fromarray(image).save(buffer, "PNG")
    return buffer.getvalue()


@pytest.mark.reliability
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="memory is read from /proc")
def test_four_clients_get_the_serial_answers(service, request, record_property):
    process, address = service
    count = 2000 if request.config.option.markexpr == "reliability" else 200
    images = [sample.image for sample in ShapesDataset(seed=7, count=8)]
    detector, contents = Detector("shapes", score_threshold=0.5), [png(i) for i in images]
    expected = [[(f.name, round(f.score, 4)) for f in detector.detect(image)] for image in images]
    assert sum(map(len, expected)) > 8
    with ThreadPoolExecutor(4) as clients:

        def answers(number):
            return list(clients.map(lambda i: ask(address, contents[i % 8]), range(number)))

        answers(40)  # kernels are read, each thread has its memory
        before, start = resident(process), time.perf_counter()
        found = answers(count)
        seconds, after = time.perf_counter() - start, resident(process)
    for i, answer in enumerate(found):
        assert [(f["name"], f["score"]) for f in answer] == expected[i % 8]
    assert after - before < ALLOWED
    record_property(
        "reliability",
        f"{count} requests from four threads, {count / seconds:.0f} a second, "
        f"{before:.0f} MB before and {after:.0f} MB after",
    )


def test_what_is_no_picture_is_said(service):
    with pytest.raises(urllib.error.HTTPError) as error:
        ask(service[1], b"no picture")
    assert error.value.code == 400
    assert "10 bytes: not an image" in json.load(error.value)["error"]
