"""What an icon shows, read from its name: "settings-outline-24" and "gear-fill" are both "cog"."""

from __future__ import annotations

import re


def words(text: str) -> frozenset[str]:
    """The words of a text, between blanks."""
    return frozenset(text.split())


STYLES = words(
    """
    outline outlined outlines fill filled solid sharp round rounded twotone two tone duotone duo bold thin
    light regular line linear lines broken baseline 3d stroke flat color colored mono monotone alt
    alternate variant o s r b l rtl ltr mini micro xs sm md lg xl off-outline ios android streamline cyber
    remix plump flex ultimate freehand block kameleon pixel core guidance
    """
)
"""How it is drawn, or by which family: dropped from the name."""

SIZE = re.compile(r"\d+(px|x\d*)?")
"""24, 24px, 16x16: dropped as well."""

BRANDS = words(
    """
    amazon app-store apple behance blender blogger chrome codepen creative-commons css css3 discord
    dribbble dropbox edge facebook figma github gitlab google google-drive html5 instagram javascript
    linkedin linux markdown mastodon medium meta node npm opera paypal pinterest reddit safari skype slack
    snapchat soundcloud spotify steam telegram tiktok tumblr twitch twitter vimeo vk wechat whatsapp
    windows wordpress xbox youtube
    """
)
"""Left out, so that Logos stays unseen by a model trained on Icons."""

SYNONYMS = {
    synonym: concept
    for concept, synonyms in {
        "alarm-clock": "alarm",
        "bar-chart": "chart-bar",
        "bell": "notification",
        "bike": "bicycle",
        "brush": "paintbrush",
        "cart": "shopping-cart",
        "chart": "graph",
        "chart-pie": "pie-chart",
        "chat": "comment message",
        "check": "checkmark",
        "clock": "time",
        "close": "x cross cancel",
        "cog": "settings gear",
        "copy": "duplicate",
        "expand": "maximize",
        "file": "document",
        "filter": "funnel",
        "fire": "flame",
        "flask": "beaker",
        "folder-plus": "folder-add",
        "forward": "fast-forward",
        "gauge": "dashboard",
        "globe": "earth",
        "hashtag": "hash",
        "home": "house",
        "image": "picture",
        "lightbulb": "bulb",
        "lightning": "bolt flash",
        "mail": "email envelope",
        "mail-open": "envelope-open",
        "map-pin": "location",
        "microphone": "mic",
        "minus": "remove",
        "monitor": "desktop",
        "music": "music-note",
        "paperclip": "attachment",
        "pencil": "edit",
        "plane": "airplane",
        "plus": "add",
        "print": "printer",
        "question": "question-mark help",
        "refresh": "reload sync",
        "rewind": "backward",
        "save": "floppy-disk",
        "scissors": "cut",
        "smartphone": "mobile",
        "stopwatch": "timer",
        "store": "shop",
        "thumbs-down": "thumb-down",
        "thumbs-up": "like thumb-up",
        "translate": "language",
        "trash": "delete",
        "unlock": "lock-open",
        "user": "person",
        "user-plus": "user-add",
        "users": "people group",
        "video": "video-camera",
        "volume-off": "volume-mute",
    }.items()
    for synonym in words(synonyms)
}
"""Two names of one thing, found as the confusions of a trained model."""


def concept(icon: str) -> str:
    """The concept that an icon's name tells, or nothing: the name is all style and size, or a brand's."""
    kept = [w for w in re.split(r"[-_]", icon) if w and w not in STYLES and not SIZE.fullmatch(w)]
    name = "-".join(kept)
    name = SYNONYMS.get(name, name)
    return "" if name in BRANDS else name
