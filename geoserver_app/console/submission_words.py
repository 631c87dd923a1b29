"""What pages call the states and acts of submissions, in Chinese and English."""

from collections.abc import Mapping

Words = Mapping[str, tuple[str, str]]

STATES: Words = {
    "awaiting-file": ("等待文件", "waits for its file"), "queued": ("排队检查", "waits for its check"), "checking": ("检查中", "being checked"),
    "checked": ("待复核", "waits for its review"), "reviewed": ("待审批", "waits for its approval"), "publishing": ("发布中", "being published"),
    "accepted": ("已接收", "accepted"), "returned": ("已退回", "returned"), "withdrawn": ("已撤回", "withdrawn"),
}
STEPS: Words = {
    "": ("", ""), "reading": ("读取文件", "the file is read"), "currency": ("检查现势性", "currency"), "schema": ("检查字段与代码", "fields and codes"),
    "topology": ("检查图形", "shapes"), "difference": ("与现行版本比较", "compared with the edition in force"), "comparing": ("比对坐标", "coordinates are compared"),
    "report": ("写报告", "the report is written"),
}
ACTS: Words = {
    "announced": ("申报", "announced"), "received": ("收到文件", "file received"), "checked": ("检查完毕", "checked"), "reviewed": ("复核通过", "reviewed"),
    "approved": ("审批通过", "approved"), "accepted": ("发布并接收", "published and accepted"), "returned": ("退回", "returned"), "withdrawn": ("撤回", "withdrawn"),
    "not-published": ("未能发布", "could not be published"),
}
CHANGES: Words = {
    "added": ("新增", "added"), "removed": ("删除", "removed"), "moved": ("图形改变", "other shape"), "retold": ("属性改变", "other attributes"), "kept": ("未变", "unchanged"),
}


def said(words: Words, language: str) -> dict[str, str]:
    return {name: both[0 if language == "zh" else 1] for name, both in words.items()}


def wording(language: str) -> dict[str, dict[str, str]]:
    """For templates."""
    return {"states": said(STATES, language), "steps": said(STEPS, language), "acts": said(ACTS, language), "kinds": said(CHANGES, language)}
