"""What the console calls things, in Chinese and English."""

from collections.abc import Mapping
from types import MappingProxyType

from agreements.life.lifecycle import Action
from geoserver_app.messages import LANGUAGES

Words = Mapping[str, tuple[str, str]]


def worded(words: Words, name: object, language: str) -> str:
    """What `name` is called; itself, where it has no other name."""
    return words[str(name)][LANGUAGES.index(language)] if str(name) in words else str(name)


ROLES: Words = MappingProxyType({
    "administrator": ("管理员", "Administrator"), "approver": ("审批人", "Approver"), "auditor": ("审计员", "Auditor"),
    "data_manager": ("数据管理员", "Data manager"), "member": ("单位人员", "Member of an agency"), "operator": ("运维", "Operator"), "system": ("系统", "System"),
})

ACTIONS: Words = MappingProxyType({
    Action.DRAFT: ("起草", "Drafted"), Action.AMEND: ("起草修订", "Amendment drafted"), Action.EDIT: ("修改草案", "Draft edited"),
    Action.SUBMIT: ("提交", "Submitted"), Action.CHECK: ("合规性审核", "Checked for conformity"), Action.REQUEST_CHANGES: ("退回修改", "Changes requested"),
    Action.APPROVE: ("批准", "Approved"), Action.REFUSE: ("不予批准", "Refused"), Action.SIGN: ("签署", "Signed"), Action.ACTIVATE: ("生效", "Put in force"),
    Action.ACTIVATE_EMERGENCY: ("应急启用", "Put in force in an emergency"), Action.RATIFY: ("追认", "Ratified"), Action.SUSPEND: ("暂停", "Suspended"),
    Action.RESUME: ("恢复", "Resumed"), Action.EXPIRE: ("到期", "Expired"), Action.TERMINATE: ("终止", "Terminated"), Action.ARCHIVE: ("归档", "Archived"),
    Action.WITHDRAW: ("撤回", "Withdrawn"), Action.CERTIFY: ("收到销毁证明", "Certificate of destruction came in"),
    Action.KEEP_BOUNDARY: ("维持原界线", "Old boundary kept"),
    Action.KEEP_BOUNDARY: ("维持原界线", "Old boundary kept"), Action.IMPORT: ("导入（此前已生效）", "Imported, in force already"), Action.PARENT_CHANGED: ("上级协议变更", "The agreement above changed"),
})
"""As the history tells them."""

BUTTONS: Words = MappingProxyType({
    Action.SUBMIT: ("提交审核", "Submit"), Action.CHECK: ("合规性审核通过", "Note that it conforms"), Action.REQUEST_CHANGES: ("退回修改", "Ask for changes"),
    Action.APPROVE: ("批准", "Approve"), Action.REFUSE: ("不予批准", "Refuse"), Action.SIGN: ("登记签署", "Note a signature"),
    Action.ACTIVATE: ("使其生效", "Put in force"), Action.ACTIVATE_EMERGENCY: ("应急启用", "Put in force as an emergency"), Action.RATIFY: ("追认", "Ratify"),
    Action.TERMINATE: ("终止", "Terminate"), Action.ARCHIVE: ("归档", "Archive"), Action.WITHDRAW: ("撤回", "Withdraw"),
    Action.CERTIFY: ("登记销毁证明", "Note a certificate of destruction"), Action.EXPIRE: ("记为到期", "Note that it is over"),
})
"""Moves, as buttons say them."""

KINDS: Words = MappingProxyType({
    "conformity-check": ("合规性审核", "Conformity check"), "answer": ("答复", "Answer"), "sign": ("签署", "Signature"), "activate": ("生效", "Put in force"),
    "ratify": ("追认", "Ratify"), "renew": ("续签", "Renewal"), "destruction": ("销毁证明", "Destruction"), "contractor-destruction": ("销毁证明", "Destruction"),
    "contribution-due": ("回馈", "Contribution"), "contribution-check": ("质检", "Quality check"), "contribution-quota": ("额度", "Quota"),
    "boundary": ("界线更新", "Boundary"), "request": ("申请", "Request"), "correction": ("纠错", "Correction"), "given-review": ("复核", "Review"), "given-approve": ("审批", "Approval"),
    "given-upload": ("重新提交", "Hand in again"),
})
"""Of tasks."""

DONE: Words = MappingProxyType({
    "moved": ("已办理并写入历史。", "Done, and put into the history."),
    "drafted": ("草案已保存。", "The draft is kept."),
    "suspended": ("已暂停：两秒内在全部服务上生效。", "Suspended: everywhere within two seconds."),
    "resumed": ("已恢复：两秒内在全部服务上生效。", "Resumed: everywhere within two seconds."),
    "kept": ("已保存。", "Kept."),
    "revoked": ("密钥已撤销：两秒内失效。", "The key is revoked: it stops counting within two seconds."),
    "person-added": ("人员已新增：首次登录时须修改密码。", "The person is added, and has to change the password first."),
    "password-set": ("密码已重设：其会话与令牌均已失效。", "Another password is set: sessions and tokens have ended."),
    "received": ("交付已登记。", "The delivery is entered."),
    "checked": ("检查结果已登记。", "The result of the check is entered."),
    "asked": ("申请已提交：在 10 个工作日内答复。", "The request is sent: it is answered within 10 working days."),
    "noted": ("已登记。", "Noted."),
    "correction-reported": ("纠错单已提交。", "The correction is sent."),
    "correction-moved": ("纠错单已办理并写入经过。", "Done, and put into the history of the correction."),
    "overlay-decided": ("已记录决定。", "The decision is recorded."),
    "overlay-called-off": ("已取消，文件已删除。", "Called off; its file is deleted."),
    "overlay-withdrawn": ("已撤下：任何人都不能再看到它。", "Withdrawn: nobody sees it any more."),
    "overlay-drawn": ("样式已保存，立即生效。", "The rules are kept, and count at once."),
    "overlay-connected": ("已接入。", "Connected."),
    "overlay-refreshing": ("正在刷新：完成后成为新版本。", "Being refreshed: it becomes another edition."),
    "map-saved": ("地图已保存。", "The map is saved."),
    "map-deleted": ("地图已删除。", "The map is deleted."),
    "submission-withdrawn": ("已撤回，文件已删除。", "Withdrawn, and its files are deleted."),
    "ordered": ("已订购：制作在后台进行，完成后可在此下载。", "Ordered: it is made in the background, and can be fetched here when it is ready."),
    "called-off": ("已取消，文件已删除。", "Called off, and its files are deleted."),
    "edition-withdrawn": ("版本已撤下：五秒内在全部服务上不再可见，其文件与瓦片已删除。", "The edition is withdrawn: gone from every service within five seconds, its files and tiles deleted."),
    "boundary-kept": ("维持原界线：待办已办结。", "The old boundary is kept: the task is done."),
})
"""What a page says after something was done, by the `done` of its address: no other words get there."""


def done_sentence(name: str, language: str) -> str:
    return DONE[name][LANGUAGES.index(language)] if name in DONE else ""
