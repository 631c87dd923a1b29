"""Why an agreement may not be moved: sentences in Chinese and English, for people at the bureau and members of the parties."""

ENGLISH, CHINESE = "en", "zh"

REFUSALS: dict[str, dict[str, str]] = {
    "not-from-here": {
        ENGLISH: "`{action}` is no move of an agreement that is {state}: see its history for what comes next",
        CHINESE: "协议状态为 {state} 时不能执行 `{action}`：请查看协议历史，了解下一步",
    },
    "role": {
        ENGLISH: "`{action}` is for {roles}: ask one of them",
        CHINESE: "`{action}` 须由 {roles} 执行：请联系相应人员",
    },
    "same-person": {
        ENGLISH: "`{login}` did `{done}` on this version, so another person must do `{action}`: ask a colleague",
        CHINESE: "`{login}` 已对本版本执行过 `{done}`，`{action}` 须由另一人执行：请联系同事",
    },
    "comment-missing": {
        ENGLISH: "`{action}` needs a reason: say why",
        CHINESE: "`{action}` 须说明理由：请填写理由",
    },
    "unchecked": {
        ENGLISH: "the conformity check since the last submission is missing: do `conformity-check` first",
        CHINESE: "最近一次提交后尚未进行合规性审核：请先执行 `conformity-check`",
    },
    "no-emergency": {
        ENGLISH: "the agreement is not marked as an emergency: let it be approved and signed, or mark it in its document",
        CHINESE: "协议未标记为应急协议：请按程序审批、签署，或在文本中标记",
    },
    "emergency-term": {
        ENGLISH: "an emergency agreement must end within {hours} hours from now: set `until` of its term",
        CHINESE: "应急协议须在 {hours} 小时内到期：请设置期限的 `until`",
    },
    "emergency-amendment": {
        ENGLISH: "an earlier version is, or was, in force, and an amendment takes two people: make the emergency an agreement of its own",
        CHINESE: "此前版本已经生效，修订须由两人办理：请另立应急协议",
    },
    "nothing-to-ratify": {
        ENGLISH: "nothing waits to be ratified: the agreement was approved, or has been ratified",
        CHINESE: "没有待追认的事项：协议已经审批或已追认",
    },
    "certificate-missing": {
        ENGLISH: "the certificate that the data were destroyed has not come in: note it with `certify-destruction` first",
        CHINESE: "尚未收到数据销毁证明：请先用 `certify-destruction` 登记",
    },
    "not-a-party": {
        ENGLISH: "`{agency}` is no party that has still to sign: see the parties of the agreement",
        CHINESE: "`{agency}` 不是尚待签署的一方：请核对协议双方",
    },
    "signed-already": {
        ENGLISH: "`{agency}` has signed this version already: nothing is left to do for it",
        CHINESE: "`{agency}` 已签署本版本：无需再次签署",
    },
    "signature-missing": {
        ENGLISH: "a signature names the {fields}: give them",
        CHINESE: "签署须写明 {fields}：请补充",
    },
    "signature-date": {
        ENGLISH: "`{date}` is not a day on which it can have been signed: give a day such as 2026-03-01, not after today",
        CHINESE: "`{date}` 不是有效的签署日期：请填写不晚于今天的日期，例如 2026-03-01",
    },
    "other-document": {
        ENGLISH: "the signed paper bears the hash `{signed}`, the version here has `{held}`: have the present text signed",
        CHINESE: "所签文本的摘要为 `{signed}`，系统中版本的摘要为 `{held}`：请签署现行文本",
    },
    "replaced": {
        ENGLISH: "version {version} was replaced by a newer one: do `{action}` on that one",
        CHINESE: "第 {version} 版已被新版本取代：请对新版本执行 `{action}`",
    },
    "draft-open": {
        ENGLISH: "version {version} is {state} and not yet decided: go on with it, or withdraw it, before version {newer}",
        CHINESE: "第 {version} 版尚处于 {state} 状态：请继续办理或撤回后，再起草第 {newer} 版",
    },
    "in-preparation": {
        ENGLISH: "version {version} is being prepared here and is {state}: go on with it, since its text alone does not put it in force",
        CHINESE: "第 {version} 版正在办理，状态为 {state}：请继续办理，仅重新登记文本不会使其生效",
    },
    "version": {
        ENGLISH: "the newest version is {newest}: number the draft {next}, not {version}",
        CHINESE: "最新版本为第 {newest} 版：草案应为第 {next} 版，而非第 {version} 版",
    },
    "other-parties": {
        ENGLISH: "version {version} is between `{grantor}` and `{grantee}`, who would read each other's papers: give other parties an agreement of their own",
        CHINESE: "第 {version} 版的双方为 `{grantor}` 与 `{grantee}`，换由他方会互见材料：请为其他单位另立协议",
    },
    "edited-meanwhile": {
        ENGLISH: "somebody else has changed the draft meanwhile: look at it again, then make your change to it",
        CHINESE: "草案已被他人修改：请重新查看后再修改",
    },
    "boundary-not-named": {
        ENGLISH: "whose boundary is kept is not said: give `division`, `vintage` and the vintage it is kept `instead_of`",
        CHINESE: "未说明维持哪条界线：请给出 `division`、`vintage` 及被替代的 `instead_of`",
    },
    "not-a-draft": {
        ENGLISH: "version {version} is {state}, and only a draft can be edited: ask for changes, or draft an amendment",
        CHINESE: "第 {version} 版状态为 {state}，只有草案可以修改：请退回修改或起草修订版本",
    },
    "other-agreement": {
        ENGLISH: "the text is of `{said}`, not of `{held}`: number and version of a draft stay as they are",
        CHINESE: "文本属于 `{said}`，而非 `{held}`：草案的编号与版本不可更改",
    },
    "parent-missing": {
        ENGLISH: "the agreement above, `{parent}`, is not in force: put it in force first, or name another as `parent`",
        CHINESE: "上级协议 `{parent}` 未生效：请先使其生效，或更换上级协议",
    },
    "parent-other-party": {
        ENGLISH: "`{parent}` is granted to `{grantee}`, so `{grantor}` can't pass anything on from it: name an agreement of `{grantor}` as `parent`",
        CHINESE: "`{parent}` 的被授予方是 `{grantee}`，`{grantor}` 无权据此转授：请指定授予 `{grantor}` 的协议",
    },
    "not-a-subset": {
        ENGLISH: "it grants what `{parent}` does not, or can't be shown not to: {gaps}; narrow it",
        CHINESE: "其授予内容超出上级协议 `{parent}`，或无法证明未超出：{gaps}；请缩小授予范围",
    },
}
"""By code. `{state}`, `{action}` and `{roles}` are the words of `lifecycle`, which commands and pages use too."""
