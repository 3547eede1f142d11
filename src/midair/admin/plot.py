"""The drain as a picture: connections that are not on the serving generation yet, over time. Pure; an SVG without a style of
its own, so that the page's policy need not allow any.

The names of axes stand beside it, not in it: letters would shrink with the picture on a narrow screen.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import msgspec

from midair.admin.samples import Sample
from midair.admin.text import Html, element, shown

WIDTH, HEIGHT = 720, 180
SPAN_MIN_S = 20.0


class Episode(msgspec.Struct, frozen=True):
    """The last time that connections had to move."""

    samples: tuple[Sample, ...]
    most: int
    is_over: bool

    @property
    def began_s(self) -> float:
        return self.samples[0].time_s

    @property
    def ended_s(self) -> float:
        return self.samples[-1].time_s

    @property
    def span_s(self) -> float:
        return max(SPAN_MIN_S, self.ended_s - self.began_s)


def last_episode(samples: Sequence[Sample]) -> Episode | None:
    """From the last moment at which none was left behind to the next such moment, or to now. None: there was nothing to move."""
    last = next((n for n in reversed(range(len(samples))) if samples[n].left), None)
    if last is None:
        return None
    first = last
    while first > 0 and samples[first].left:
        first -= 1
    chosen = tuple(samples[first : last + 2])
    return Episode(chosen, max(max(each.left, each.of) for each in chosen), chosen[-1].left == 0)


def drain(samples: Sequence[Sample]) -> Html:
    """The figure, or the sentence that there is none."""
    episode = last_episode(samples)
    if episode is None:
        return element(
            "p", shown("In the minutes that are remembered no connection had to change its version."), class_="soft"
        )
    caption = _sentence(episode)
    picture = Html(
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" preserveAspectRatio="none" role="img" aria-label="{shown(caption)}">'
        f'<path class="grid" d="M0 {HEIGHT / 2:g}H{WIDTH}M0 1H{WIDTH}"/>{_curve(episode)}</svg>'
    )
    axis = element(
        "div",
        element("span", shown(_clock(episode.began_s))),
        element("span", shown(_clock(episode.began_s + episode.span_s))),
        class_="axis",
    )
    most = element("div", shown(f"{episode.most} connections"), class_="most")
    return element("figure", most, picture, axis, element("figcaption", shown(caption)))


def _sentence(episode: Episode) -> str:
    took_s = episode.ended_s - episode.began_s
    if episode.is_over:
        return f"{episode.most} connections were not on the serving version; after {took_s:.0f} s none was left."
    left = episode.samples[-1].left
    return f"{left} of {episode.most} connections are not on the serving version yet, {took_s:.0f} s after the first."


def _curve(episode: Episode) -> Html:
    """Steps: between two looks nothing is known."""
    start_s = episode.began_s
    span_s = episode.span_s
    path, height = "", 0.0
    for sample in episode.samples:
        across = WIDTH * (sample.time_s - start_s) / span_s
        height = HEIGHT - (HEIGHT - 8) * sample.left / episode.most
        path += f"H{across:.1f}V{height:.1f}" if path else f"M{across:.1f} {height:.1f}"
    end = WIDTH * (episode.ended_s - start_s) / span_s
    return Html(f'<path class="area" d="{path}H{end:.1f}V{HEIGHT}H0Z"/><path class="curve" d="{path}"/>')


def _clock(time_s: float) -> str:
    return time.strftime("%H:%M:%S", time.localtime(time_s))
