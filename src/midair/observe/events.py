"""Every event of the log: its name, its level, what it means and which fields it has. The documentation is made of this.

A name is in the past tense or a state; fields hold small values, never secrets, never unbounded text (``detail`` is cut).
``status`` stands on the lines of an update, as dashboards and alerts look for it. Every line has ``time``, ``level``,
``event`` and ``node``; those about an update or a generation have ``version``, ``generation`` and ``update`` as well.
"""

from __future__ import annotations

from typing import Literal

from msgspec import Struct

Level = Literal["debug", "info", "warning", "error"]
LEVELS: tuple[Level, ...] = ("debug", "info", "warning", "error")


class Event(Struct, frozen=True):
    """One row. ``meaning`` is a sentence for the operator: what happened, and what to do if something is to be done."""

    name: str
    level: Level
    meaning: str
    fields: tuple[str, ...] = ()
    status: str = ""


# A row a line.
# fmt: off
_TABLE = (
    # --- the service
    Event("supervisor_started", "info", "The supervisor runs and will bind its listeners.", ("pid", "midair", "python")),
    Event("supervisor_resumed", "info", "The supervisor has re-executed itself; workers served all along.", ("silent_s",)),
    Event("supervisor_restored", "warning",
          "The supervisor before this one was killed. systemd has kept its listeners and its numbers; what is on disk starts.",
          ("served", "listeners", "update")),
    Event("disk_differs", "warning",
          "What served before the supervisor was killed is not on the disk any more, so what is there starts: nobody asked for it.",
          ("served", "rolled_back")),
    Event("listener_given_up", "info", "An address is not configured any more: the listener that systemd had kept is closed.",
          ("address", "name")),
    Event("leftover_killed", "warning", "A process of the supervisor before this one had not ended by itself.", ("pid",)),
    Event("store_full", "warning",
          "systemd keeps no more descriptors for this unit: raise FileDescriptorStoreMax, or a crash loses listeners.", ("kept",)),
    Event("stored_state_unreadable", "warning", "What systemd has kept of the supervisor before makes no sense; it is put aside.",
          ("error", "hint")),
    Event("stored_state_unwritten", "warning", "What is to outlive the supervisor could not be written.", ("error",)),
    Event("supervisor_stopped", "info", "The service has ended; nothing of it runs.", ("uptime_s",)),
    Event("listening", "info", "A listener is open.", ("address", "typed", "name", "is_inherited")),
    Event("bind_ignored", "warning", "Sockets were passed to us, so this address of `bind` is not opened.", ("address",)),
    Event("bind_retried", "warning", "An address is in use; it is tried again for a few seconds.", ("address", "error")),
    Event("settings_read", "info", "The configuration was read again.", ("changed",)),
    Event("settings_refused", "error", "The configuration has mistakes; the one before holds.", ("error", "hint")),
    Event("survey_warning", "warning", "Something about the version on disk deserves a look.", ("warning",)),
    Event("signal_received", "info", "A signal asks for something.", ("signal", "action")),
    Event("scaled", "info", "The wanted number of workers has changed.", ("workers", "before", "by")),
    Event("stopping", "info", "The service is stopping: connections are ended within the time.", ("by", "within_s")),
    Event("upgrade_started", "info", "midair itself is being upgraded in place.", ("by", "midair")),
    Event("upgrade_refused", "error", "The new midair failed its preflight; the running one goes on.", ("error", "detail")),
    Event("upgrade_undone", "error", "The new midair could not resume; the one before serves again.", ("error",)),
    Event("held", "info", "Updates are held back.", ("by", "reason", "for_s")),
    Event("released", "info", "Updates are allowed again.", ("by",)),
    # --- an update
    Event("update_started", "info", "An update has begun.", ("by", "reason", "previous", "trace_id"), "hot-update-start"),
    Event("phase_entered", "info", "An update has entered a phase.", ("phase",)),
    Event("candidate_ready", "info", "The new generation can serve; it does not yet.", ("ready_after_s",), "hot-update-ready"),
    Event("cut_over", "info", "New connections go to the new generation.", ("previous", "since_start_s"), "hot-update-cut-over"),
    Event("update_done", "info", "The update is committed.", ("previous", "duration_s", "receipt"), "hot-update-done"),
    Event("update_refused", "error", "The new version did not get to serve; the earlier one does, and never noticed.",
          ("code", "error", "hint", "detail", "duration_s", "receipt"), "hot-update-refused"),
    Event("update_rolled_back", "error", "The new version served and was taken back; the earlier one serves.",
          ("code", "error", "hint", "detail", "duration_s", "receipt"), "hot-update-rolled-back"),
    Event("update_superseded", "info", "A newer request took the update's place.", ("by", "duration_s", "receipt")),
    Event("update_stopped", "info", "The service was stopped before the update ended.", ("duration_s", "receipt")),
    Event("rollback_impossible", "error", "There is nothing to roll back to, so the new version goes on.", ("why",)),
    Event("hook_ended", "info", "A hook has run.", ("hook", "how", "seconds")),
    Event("hook_failed", "error", "A hook failed.", ("hook", "error", "detail")),
    Event("files_changed_during_import", "warning", "Files changed while they were imported; the import is repeated."),
    Event("no_health_route", "info", "The application has no health route: start-up counts as ready.", ("answer",)),
    Event("probe_failed", "warning", "A health probe did not get the answer it needs.", ("worker", "answer", "failures")),
    Event("receipt_unwritten", "warning", "A receipt could not be written; it is in memory until the disk takes it.", ("error",)),
    Event("receipts_written", "info", "The disk takes receipts again: those that were kept in memory are on it.", ("receipts",)),
    Event(
        "current_followed",
        "info",
        "Whoever deployed was killed: `current` names the release again that serves.",
        ("release",),
    ),
    Event(
        "current_stayed",
        "warning",
        "`current` could not be made to name what serves; a restart would start what it names.",
        ("error",),
    ),
    Event("books_unbalanced", "error", "Connections of a generation do not add up. Please report it.", ("books",)),
    # --- starting
    Event("unchanged", "info", "What stands on the disk is what serves already.", ("serving",)),
    Event("imported", "debug", "The application was imported.", ("interface", "seconds", "why")),
    Event("probed", "debug", "A worker's health was asked.", ("worker", "verdict", "answer")),
    Event("start_failed", "error", "Nothing serves yet and this start failed; it is tried again.",
          ("error", "again_in_s", "attempt")),
    Event("third_party_ready", "info", "`midair dev`: from now on imports begin with installed modules already there.",
          ("seconds", "left_out")),
    Event("fork_unsafe", "warning", "Importing left something that a fork would break, so workers are spawned.", ("why",)),
    Event("kept_given_up", "warning", "Memory is short: what was kept of the version before, for a rollback, is given up."),
    Event("surge_by_slot", "info", "Old and new do not fit into memory side by side; slots change one by one.", ("why",)),
    Event("zygote_lost", "warning", "The process that workers are forked from has died.", ("why",)),
    Event("stand_in_serves", "error", "Nothing is left of the version that served, so a page that says so does (`midair dev`).",
          ("version", "error", "detail")),
    Event("runs_short", "warning", "Files changed, so this generation gets no new workers. An update helps.", ("why",)),
    # --- workers
    Event("worker_started", "debug", "A worker's process runs.", ("worker", "slot", "pid", "mode")),
    Event("worker_ready", "debug", "A worker can serve.", ("worker", "slot", "ready_after_s")),
    Event("worker_died", "error", "A worker ended without being told to.", ("worker", "slot", "how", "state")),
    Event("worker_replaced", "info", "A worker has taken the place of another.", ("worker", "slot", "by")),
    Event("worker_held_back", "warning", "A slot's workers die again and again; the next one waits.", ("slot", "wait_s", "deaths")),
    Event("crash_loop", "error", "Workers of this version die faster than they can serve.", ("deaths",)),
    Event("worker_worn", "info", "A worker reached a limit (requests, memory) and is replaced.", ("worker", "slot", "why")),
    Event("worker_hung", "warning", "A worker's event loop stands still; the detail shows where.",
          ("worker", "slot", "for_s", "detail")),
    Event("worker_killed", "warning", "A worker was killed.", ("worker", "why")),
    Event("worker_output", "info", "A line that a worker wrote.", ("message",)),
    Event("worker_trouble", "warning", "A worker met trouble that is the machine's: no descriptors left, no memory.", ("what",)),
    Event("worker_cut", "warning", "A worker left while applications' calls still ran; they are named.", ("worker", "what")),
    # --- TLS
    Event("certificate_loaded", "info", "Workers show this certificate to new connections from now on.", ("file", "not_after")),
    Event("certificate_refused", "error", "The renewed certificate cannot be used; the one before is still shown.",
          ("error", "hint")),
    Event("certificate_expires", "warning", "The certificate ends in less than 14 days. Renew its files; no update is needed.",
          ("not_after", "days")),
    Event("certificate_expired", "error", "The certificate has ended: clients turn away. Renew its files.", ("not_after",)),
    # --- connections
    Event(
        "connections_moving", "info", "Live connections are on their way to the serving version.",
        ("left", "of", "moved", "for_s", "rate_per_s", "share"),
    ),
    Event(
        "connections_slowed", "warning",
        "The serving version fails or is slow more often than the one before, so fewer connections move to it for now.",
        ("left", "share", "errors", "slow", "slow_over_s"),
    ),
    Event(
        "connections_halted", "warning",
        "The serving version fails or is slow so often that no more connections move to it until it recovers, or until the old"
        " version has to end.",
        ("left", "share", "errors", "slow", "slow_over_s"),
    ),
    Event("connections_resumed", "info", "The serving version has recovered: connections move at the whole pace.",
          ("left", "slowed_s", "halted_s")),
    Event(
        "connections_moved", "info", "The last of the old connections has moved, or the next update takes over what is left.",
        ("moved", "seconds", "most_in_1_s", "least_in_1_s", "slowed_s", "halted_s", "left"),
    ),
    Event("state_carried", "info", "What a worker has in memory (`midair.carry`) goes on with another worker.",
          ("worker", "slot", "how", "names", "bytes", "seconds", "running", "dropped")),
    Event("state_refused", "warning", "A worker could not take the state of its slot, and the one that has it goes on.",
          ("worker", "code", "error")),
    Event("state_lost", "error", "State that an application carries is gone, and why.", ("worker", "error")),
    Event(
        "connections_stay", "warning",
        "The new version's application does not go on with some WebSockets or streams; they end with the old version.",
        ("worker", "target", "why"),
    ),
    Event(
        "handover_ended", "warning", "A worker cannot take the connections of another; they end where they are.",
        ("worker", "target", "why"),
    ),
    # --- command children
    Event(
        "ready_awaited", "warning", "A program has not said that it can serve; the hint says how it may.",
        ("worker", "slot", "for_s", "what", "hint"),
    ),
    Event(
        "notify_ignored", "warning", "A process that is not the child's wrote to its NOTIFY_SOCKET.",
        ("worker", "slot", "pid"),
    ),
    Event(
        "passing_on", "info", "A command that was told to leave passes its connections and state on to another one.",
        ("worker", "target"),
    ),
    Event(
        "listener_mode_set", "info", "A child set the mode of a shared listener, for every process that shares it.",
        ("worker", "slot", "program", "pid", "suspects", "listener", "mode"),
    ),
    Event(
        "listener_mode_changed", "warning",
        "A child changed the mode of a listener that another generation still accepts on: that one may be hurt.",
        ("worker", "slot", "program", "pid", "suspects", "listener", "mode"),
    ),
    Event(
        "listener_shut", "error",
        "A child called shutdown(2) on a shared listener. It listens again; who waited in its queue was lost.",
        ("worker", "slot", "program", "pid", "suspects", "listener"),
    ),
    Event(
        "listener_lost", "error",
        "A child called shutdown(2) on a shared listener, and it cannot listen again: restart the service.",
        ("worker", "slot", "program", "pid", "suspects", "listener"),
    ),
    Event("drain_hurried", "warning", "An old generation gets a short deadline: `midair drain`, or too many drain at once.",
          ("worker",)),
    Event("connections_cut", "warning", "Connections were still busy at the deadline and were ended.", ("connections",)),
    Event("process_started", "info", "A program beside the workers runs.", ("name", "pid")),
    Event("process_died", "error", "A program beside the workers ended; it is started again.", ("name", "how", "again_in_s")),
    Event("stranger_reaped", "debug", "A process that is not ours was left to us and has ended.", ("pid",)),
    # --- pages that are open while a service is developed
    Event("page_left_alone", "info", "A page did not get the script that refreshes it; the reason says why.", ("path", "what")),
    Event("page_policy_widened", "info",
          "The Content-Security-Policy of a page forbids the script; in `midair dev` it got these directives.", ("path", "what")),
    Event("page_refused", "warning", "Somebody asked for what only pages of this service may have.", ("path", "what")),
    # --- the log, the metrics and the control socket
    Event("metrics_served", "info", "Prometheus can scrape here.", ("address", "pid")),
    Event("metrics_unavailable", "warning", "The metrics cannot be served; the service goes on without.",
          ("address", "error", "hint")),
    Event("admin_served", "info", "People can look on here: a page that changes nothing.", ("address", "pid")),
    Event("admin_unavailable", "warning", "The page for people cannot be served; the service goes on without.",
          ("address", "error", "hint")),
    Event("endpoints_died", "warning", "The process that serves metrics and page has ended; it is started again.",
          ("how", "again_in_s")),
    Event("traces_sent", "info", "A collector is told of updates, and of requests if that is configured.", ("to", "pid")),
    Event("traces_unavailable", "error", "Nobody can be told of updates; the service goes on without traces.", ("error", "hint")),
    Event("traces_failing", "warning",
          "The collector does not take spans. They wait, and are dropped and counted when too many do; said once until it does.",
          ("error", "to", "of")),
    Event("traces_recovered", "info", "The collector takes spans again.", ("failed_s", "to", "of")),
    Event("traces_died", "warning", "The process that tells a collector of updates has ended; it is started again.",
          ("how", "again_in_s")),
    Event("log_lines_dropped", "warning", "Nobody read the log for a while; lines were lost.", ("lines", "of")),
    Event("control_refused", "warning", "Somebody without the right used the control socket.", ("uid", "asked", "left_out")),
    Event("control_garbage", "warning", "Somebody wrote nonsense to the control socket.", ("uid", "error", "left_out")),
    # --- alerts that are answered (midair alerts serve)
    Event("alerts_served", "info", "Alertmanager can post its notifications here.", ("address", "incidents")),
    Event("incident_opened", "warning", "An alert fires; `midair alerts show` has the receipt and the lines of its update.",
          ("incident", "alert", "service", "about", "lines", "missing")),
    Event("incident_extended", "warning", "The same alert is about another update by now, or more of it could be had.",
          ("incident", "alert", "service", "about", "lines", "missing")),
    Event("incident_closed", "info", "The alert fires no more.", ("incident", "alert")),
    Event("notification_refused", "warning", "Something that was posted to `midair alerts serve` was not taken.",
          ("answer", "error")),
    # --- midair dev
    Event("saved", "info", "A save was dealt with (`midair dev`): what changed, what was done, how long each part took.",
          ("what", "did", "why", "import_s", "start_s", "live_s")),
    Event("save_failed", "error", "What was saved is not live (`midair dev`); the version before serves.",
          ("phase", "error", "file", "detail")),
    Event("dev_trouble", "warning", "Something beside the way of a save went wrong (`midair dev`).", ("code", "error", "hint")),
    Event("bug", "error", "midair made a mistake. Please report it with this line.", ("error", "detail")),
)
# fmt: on

EVENTS: dict[str, Event] = {event.name: event for event in _TABLE}
