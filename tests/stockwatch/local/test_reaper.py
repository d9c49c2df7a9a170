import subprocess
import sys
from pathlib import Path
from threading import Thread

from stockwatch.local import reaper as warden


def test_orders_leave_what_was_not_forgotten():
    lines = ["watch 10\n", "folder /tmp/a folder\n", "watch 11\n", "forget 10\n", "forget 12\n", "nonsense\n"]
    assert warden.read_orders(lines) == ([11], ["/tmp/a folder"])


def test_a_group_without_processes_cannot_be_signalled():
    process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    process.wait()
    assert not warden.send_signal(process.pid, 0)


def test_the_end_of_its_input_ends_what_it_watches(tmp_path: Path):
    folder = tmp_path / "left over"
    folder.mkdir()
    (folder / "redis.log").write_text("words")
    watched = subprocess.Popen(["sleep", "60"], start_new_session=True)
    forgotten = subprocess.Popen(["sleep", "60"], start_new_session=True)
    collector = Thread(target=watched.wait)  # as init would: a dead process that nobody collects still has its group
    collector.start()
    orders = f"watch {watched.pid}\nwatch {forgotten.pid}\nforget {forgotten.pid}\nfolder {folder}\n"
    subprocess.run([sys.executable, "-I", "-S", warden.__file__], input=orders, text=True, check=True, timeout=30)
    collector.join(30)
    assert watched.returncode == -15
    assert forgotten.poll() is None
    assert not folder.exists()
    forgotten.kill()
    forgotten.wait()
