import subprocess
import sys
from pathlib import Path
from threading import Thread

from stockwatch.local import reaper


def test_watched_groups_and_folders_remain_until_they_are_forgotten():
    lines = ["watch 10\n", "folder /tmp/a folder\n", "watch 11\n", "forget 10\n", "forget 12\n", "nonsense\n"]
    assert reaper.read_commands(lines) == ([11], ["/tmp/a folder"])


def test_signalling_a_group_without_processes_returns_false():
    process = subprocess.Popen([sys.executable, "-c", ""], start_new_session=True)
    process.wait()
    assert not reaper.signal_group(process.pid, 0)


def test_the_end_of_the_input_ends_watched_groups_and_removes_folders(tmp_path: Path):
    folder = tmp_path / "temporary files"
    folder.mkdir()
    (folder / "redis.log").write_text("words")
    watched = subprocess.Popen(["sleep", "60"], start_new_session=True)
    forgotten = subprocess.Popen(["sleep", "60"], start_new_session=True)
    waiter = Thread(target=watched.wait)  # collects the exit status, as init does; a zombie would keep its group
    waiter.start()
    commands = f"watch {watched.pid}\nwatch {forgotten.pid}\nforget {forgotten.pid}\nfolder {folder}\n"
    subprocess.run([sys.executable, "-I", "-S", reaper.__file__], input=commands, text=True, check=True, timeout=120)
    waiter.join(120)
    assert watched.returncode == -15
    assert forgotten.poll() is None
    assert not folder.exists()
    forgotten.kill()
    forgotten.wait()
