"""``python3 -m example_project``: plays the core loop; with ``--serve`` it goes on running, with something to see."""

from __future__ import annotations

import argparse
import shutil
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import ExitStack, closing
from pathlib import Path
from types import FrameType

import requests

from example_project.demo.browser import Unexpected
from example_project.demo.opentrain import OpenTrain
from example_project.demo.people import Trainer
from example_project.demo.processes import STOPPING, Processes, ProcessFailed
from example_project.demo.scenery import PASSWORD, Scenery
from example_project.demo.stage import Stage, environment, set_up, show_logs
from example_project.demo.story import Story

ROLES = """
Everything keeps running. Play every role yourself:

  The customer     {site}/opentrain/  (customer / customer): connected; a budget is low, and alerts are at the top.
  OpenTrain        {sandbox}/  hire, fund, add work, end, disconnect, and watch the webhooks.
{trainers}
  Another trainer  hire one; the mail with their link is a file in {mail}
  The site's staff {site}/admin/  (admin / admin)
  The logs         {logs}

Ctrl-C stops it all.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Play the demo; 0 if everything was observed, 1 if not, 130 when it was interrupted."""
    parser = argparse.ArgumentParser(prog="python3 -m example_project", description=__doc__)
    parser.add_argument("--serve", action="store_true", help="keep running after the demo, to try it by hand")
    options = parser.parse_args(argv)
    for number in STOPPING:  # SIGINT, too: a script's background jobs are started with it ignored
        signal.signal(number, _interrupt)
    folder = Path(tempfile.mkdtemp(prefix="opentrain-demo-"))
    try:
        observed = _play(folder, serve=options.serve)
    except KeyboardInterrupt:
        print("\nStopped.", flush=True)
        shutil.rmtree(folder)
        return 130
    if not observed:
        print(f"\nNot everything went well. All logs: {folder / 'logs'}", flush=True)
        return 1
    shutil.rmtree(folder)
    return 0


def _interrupt(_number: int, _frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _play(folder: Path, *, serve: bool) -> bool:
    """Whether everything was observed."""
    started = time.monotonic()
    with ExitStack() as stack:
        logs = folder / "logs"
        logs.mkdir()
        processes = Processes(environment(folder, stack), logs)
        stack.callback(processes.close)
        try:
            where = set_up(processes, folder)
            opentrain = stack.enter_context(closing(OpenTrain(where.sandbox)))
            story = Story(where.site, opentrain, where.mail, stack)
            story.play()
            print(f"\nThe whole loop was observed, in {time.monotonic() - started:.0f} s.", flush=True)
            if serve:
                _serve(where, processes, Scenery(story).play())
        except (ProcessFailed, Unexpected, requests.RequestException) as error:
            print(f"\n{error}", flush=True)
            show_logs(processes)
            return False
    return True


def _serve(where: Stage, processes: Processes, trainers: Sequence[Trainer]) -> None:
    """Run until Ctrl-C or SIGTERM, which raise ``KeyboardInterrupt``. ``ProcessFailed`` if a process ends."""
    line = "  {0.name:<16} {1}/opentrain/work/  ({0.hired.work_email} / {2}), who labels at {1}/"
    logins = "\n".join(line.format(each, where.site, PASSWORD) for each in trainers)
    values = {"site": where.site, "sandbox": where.sandbox, "mail": where.mail, "logs": where.logs}
    print(ROLES.format(trainers=logins, **values), flush=True)
    processes.watch()


if __name__ == "__main__":
    sys.exit(main())
