"""Reads what the XML adapter has written: the Conversations documents (legacy) and their companions.

    archive = Archive(folder)
    archive.posts          every CHAT of the legacy documents, in their order, with what the companion says of it
    archive.events         every event of the companions, record or evidence, in staging's order
"""
import glob
import hashlib
import os
import xml.etree.ElementTree as ET

NS = "{urn:x-verbatim:companion:1}"


def digest(text):
    return hashlib.sha256(text.encode("utf-8")).hexdigest()


def _attribute(element, path, name):
    found = element.find("/".join(NS + part for part in path.split("/")))
    return found.get(name, "") if found is not None else ""


class Event:
    """One event of a companion."""

    def __init__(self, element):
        self.element = element
        self.sequence = int(element.get("sequence", "0"))
        self.kind = element.get("kind", "")
        self.role = element.get("role", "")
        self.phase = element.get("phase", "")
        self.post_key = element.get("postKey", "")
        self.shown_as = element.get("shownAs", "")
        self.shown_id = element.get("shownId", "")
        self.time = element.get("sourceTime", "") or element.get("acceptTime", "")
        self.raw_event = _attribute(element, "Source", "rawEvent")
        self.conversation = _attribute(element, "Conversation", "key")
        self.conversation_kind = _attribute(element, "Conversation", "kind")
        self.actor = _attribute(element, "Actor", "normalised")
        self.actor_session = _attribute(element, "Actor", "session")
        self.nickname = _attribute(element, "Actor", "nickname")
        self.others = [other.get("normalised", "") for other in element.findall(NS + "OtherParty")]
        self.message_id = _attribute(element, "References", "messageId")
        self.stanza_id = _attribute(element, "References", "stanzaId")
        self.target_id = _attribute(element, "References", "targetMessageId")

    @property
    def is_record(self):
        return self.role == "record"

    @property
    def text(self):
        """The text as delivered; None where there is none."""
        for name in ("FinalText", "OriginalText"):
            found = self.element.find(f"{NS}{name}")
            if found is not None:
                plain = found.find(NS + "Plain")
                return (plain.text or "") if plain is not None else ""
        return None

    @property
    def sha256(self):
        return digest(self.text) if self.text is not None else ""

    def body(self, name):
        """The body's element, such as "CaptureGap"; None for another body."""
        return self.element.find(NS + name)

    def __repr__(self):
        return f"<{self.sequence} {self.kind} {self.raw_event} {self.role} {self.conversation} {self.actor}>"


class Post:
    """One Message of type CHAT of a legacy document."""

    def __init__(self, channel, message):
        self.channel = channel
        self.content = message.get("content")
        self.shown_id = message.get("id")
        self.sender = message.find("Sender").get("uri")
        self.user_name = message.find("Sender").get("UserName")
        self.time = message.find("DateTimeUTC").get("string")
        self.ticks = int(message.find("DateTimeUTC").get("long"))
        self.event = None  # of the companion

    @property
    def sha256(self):
        return digest(self.content)


class Archive:
    def __init__(self, folder):
        self.folder = folder
        self.events = []
        self.posts = []
        self.shown = []  # (type, channel, sender, time) of every Message, in document order
        # A document counts once its companion is there: that makes the batch applied.
        self.documents = sorted(path.removesuffix(".companion.xml") + ".xml"
                                for path in glob.glob(os.path.join(folder, "batch-*.companion.xml")))
        for path in self.documents:
            self._read(path)

    def _read(self, path):
        companion = ET.parse(path.removesuffix(".xml") + ".companion.xml").getroot()
        events = [Event(element) for element in companion.iter(NS + "Event")]
        by_shown_id = {event.shown_id: event for event in events if event.shown_id}
        self.events += events
        for conversation in ET.parse(path).getroot().iter("Conversation"):
            channel = conversation.find("Channel").get("name")
            for message in conversation.find("Messages"):
                sender = message.find("Sender")
                self.shown.append((message.get("type"), channel, sender.get("uri") if sender is not None else "",
                                   message.find("DateTimeUTC").get("string")))
                if message.get("type") == "CHAT":
                    post = Post(channel, message)
                    post.event = by_shown_id[post.shown_id]
                    self.posts.append(post)

    def records(self, *kinds):
        """Events that stand for an act, of these kinds."""
        return [event for event in self.events if event.is_record and event.kind in kinds]

    def find(self, **wanted):
        """Events with these attributes, for instance kind="joined", actor="a@h"."""
        return [event for event in self.events if all(getattr(event, name) == value for name, value in wanted.items())]
