package render

import (
	"fmt"
	"regexp"
	"strconv"
	"strings"
)

// The engine says its sentences in English. Another language knows them by their format, as %s, %q or %d stands for what is
// out of the manifests; %[2]s is the second. What a language does not know stands as the engine says it.

// The parts of a guardrail's rule, as access.GuardrailRule.Words puts them together.
const (
	sayDenies   = "denies %s on %s%s"
	sayLimits   = "limits %s on %s to %s"
	sayApproval = "%s on %s needs approval by %s%s"
	sayCaps     = "caps %s of %s at %s"
	saySeparate = "lets nobody do both on one record: %s"
	sayAdmits   = "a grant or binding needs %s%s"

	sayWhile        = " while %s"
	sayEveryAction  = "every action"
	sayEveryObject  = "every object"
	sayChannel      = "the channel is %s"
	sayDevice       = "the device is %s"
	sayNoReason     = "no reason is given"
	sayTime         = "it is %s"
	sayFromNow      = "from now on"
	sayFrom         = "from %s"
	sayUntil        = "until %s"
	sayNoEnd        = "without an end"
	sayRows         = "%s rows a request"
	sayRowsADay     = "%s rows in 24 hours"
	sayOwned        = "%s records owned"
	sayScopeAtMost  = "the subject's widest scope is at most %s"
	sayElsewhere    = "the target is in another department"
	sayRowsOver     = "it is about more than %s rows"
	sayManager      = "the subject's manager"
	sayRole         = "role %s"
	sayAnybody      = "anybody whom the cluster lets approve"
	sayPrivileged   = "it gives a privileged role"
	sayGivesRole    = "it gives the role %s"
	sayTemporary    = "it is temporary"
	sayReaches      = "it reaches into another department"
	sayExternal     = "the subject is external"
	sayOneApproval  = "1 approval by %s"
	sayApprovals    = "%s approvals by %s"
	sayEndWithin    = "an end within %s"
	sayLeastHolders = "at least %s holders"
	sayMostHolders  = "at most %s holders"
)

var chineseSentences = map[string]string{ //nolint:gosec // sentences that speak of logins hold no credentials
	sayDenies: "禁止对 %[2]s 执行 %[1]s%[3]s", sayLimits: "限制对 %[2]s 执行 %[1]s：%[3]s", sayApproval: "对 %[2]s 执行 %[1]s 须经 %[3]s 批准%[4]s",
	sayCaps: "%[2]s 的字段 %[1]s 最高为 %[3]s", saySeparate: "同一记录上任何人不得兼做：%s", sayAdmits: "授权或绑定须有 %s%s",
	sayWhile: "（条件：%s）", sayEveryAction: "任何操作", sayEveryObject: "所有对象",
	sayChannel: "渠道为 %s", sayDevice: "设备为 %s", sayNoReason: "未说明理由", sayTime: "时间为 %s", sayFromNow: "自现在起", sayFrom: "自 %s", sayUntil: "至 %s", sayNoEnd: "无期限",
	sayRows: "每次请求 %s 行", sayRowsADay: "24 小时内 %s 行", sayOwned: "最多持有 %s 条记录",
	sayScopeAtMost: "本人最宽的范围不超过 %s", sayElsewhere: "目标在其他部门", sayRowsOver: "涉及超过 %s 行",
	sayManager: "本人的上级", sayRole: "角色 %s", sayAnybody: "集群允许审批的任何人",
	sayPrivileged: "给予特权角色", sayGivesRole: "给予角色 %s", sayTemporary: "是临时授权", sayReaches: "涉及其他部门", sayExternal: "对象是外部人员",
	sayOneApproval: "%s 的 1 项审批", sayApprovals: "%[2]s 的 %[1]s 项审批", sayEndWithin: "不超过 %s 的期限", sayLeastHolders: "至少 %s 名持有人", sayMostHolders: "至多 %s 名持有人",

	// Who may approve.
	"anybody whom the cluster lets approve it": "集群允许审批的任何人", "a %s": "角色 %s", "an %s": "角色 %s",
	"an active employee whom the cluster lets approve it":                                          "集群允许审批的任一在职员工",
	"an active employee whom the cluster lets approve it, and whom the revocation does not strike": "集群允许审批、且不受该撤销影响的任一在职员工",

	// What does not compile, and what follows.
	"unknown %s %q: %s":                                               "未知的%s %q：%s",
	"unknown %s %q: want one of %s":                                   "未知的%s %q：应为 %s 之一",
	"every action on the object is denied":                            "该对象上的一切操作均被拒绝",
	"field %q is declared twice: %s":                                  "字段 %q 声明了两次：%s",
	"cycle %s: %s":                                                    "循环引用 %s：%s",
	"action %q with %s %q has a variant already: %s":                  "操作 %q 在 %s 为 %q 时已有变体：%s",
	"column %q is given twice, here and by %s: %s":                    "列 %q 给出了两次，此处与 %s：%s",
	"cycle %s: the department lies in no other's subtree":             "循环引用 %s：该部门不属于任何其他部门的下级",
	"the department lies in no other's subtree":                       "该部门不属于任何其他部门的下级",
	"the department has no manager":                                   "该部门没有负责人",
	"cycle %s: the reporting line ends here":                          "循环引用 %s：汇报线到此为止",
	"the reporting line ends here":                                    "汇报线到此为止",
	"nobody is named as successor":                                    "没有指定继任者",
	"nothing follows from being in it":                                "属于该部门不产生任何权限",
	"inheritance cycle %s: the role confers nothing":                  "继承循环 %s：该角色不授予任何权限",
	"inherits over more than %d steps (%s): the role confers nothing": "继承超过 %d 级（%s）：该角色不授予任何权限",
	"comes to %d grants after inheritance, more than %d: the role confers nothing; inherit fewer roles, or mute the same in each": "继承后共 %d 项授权，超过 %d 项：该角色不授予任何权限；请减少继承的角色，或在各处屏蔽相同的内容",
	"role %q does not compile and confers nothing: nothing is inherited from it":                                                  "角色 %q 有误，不授予任何权限：从中不继承任何内容",
	"role %q does not compile and confers nothing: see Role/%s":                                                                   "角色 %q 有误，不授予任何权限：参见 Role/%s",
	"role %q is abstract: it may be inherited, not held; name a role that inherits it":                                            "角色 %q 是抽象角色：只能被继承，不能被持有；请指定继承它的角色",
	"nothing is inherited from it":                  "从中不继承任何内容",
	"nothing is inherited from %s":                  "从 %s 不继承任何内容",
	"the grant confers nothing":                     "该授权不授予任何权限",
	"it confers nothing":                            "不授予任何权限",
	"it is left out of the grant":                   "该项不计入授权",
	"it is left out of the list":                    "该项不计入列表",
	"it selects no record":                          "不选中任何记录",
	"the selector matches nobody":                   "该选择器不匹配任何人",
	"nobody gets a role by this line":               "此行不给予任何人角色",
	"this name gets nothing":                        "此人不获得任何权限",
	"it restricts nothing":                          "不产生任何限制",
	"nobody may approve by it":                      "无人可据此审批",
	"there is nothing yet that the revocation ends": "目前没有可由该撤销终止的内容",
	"a second rule for %s%s in one grant: the grant confers nothing; keep one of them":                                   "同一授权中对 %s%s 有第二条规则：该授权不授予任何权限；请只保留一条",
	"user %q is external and holds no role: give a TemporaryGrant with onlyFields instead":                               "用户 %q 是外部人员，不能持有角色：请改用带 onlyFields 的 TemporaryGrant",
	"user %q is external and holds no role: grant with onlyFields instead":                                               "用户 %q 是外部人员，不能持有角色：请改用 onlyFields 授权",
	"user %q is external: a grant without onlyFields gives this name nothing":                                            "用户 %q 是外部人员：没有 onlyFields 的授权不给予此人任何权限",
	"user %q is not among the grant's users: this name gets nothing":                                                     "用户 %q 不在该授权的用户之中：此人不获得任何权限",
	"%s asks for approvals, which are of people: the users whom this selector matches (%d) get nothing by it; name them": "%s 要求审批，而审批针对具体的人：此选择器匹配的用户（%d）由此不获得任何权限；请逐一列名",
	"the grant ends at %s, not after its start at %s: it confers nothing":                                                "授权于 %s 结束，不晚于其开始时间 %s：不授予任何权限",
	"the grant lasts %s, and %s allows %s: it confers nothing to %s":                                                     "授权持续 %s，而 %s 只允许 %s：不授予 %s 任何权限",
	"an emergency grant skips approval and lasts at most %s; this one lasts %s: it confers nothing":                      "紧急授权无需审批，最长 %s；此授权持续 %s：不授予任何权限",
	"a rule is exactly one of deny, limit, approve, cap, separate and admit; this is %d of them":                         "一条规则只能是 deny、limit、approve、cap、separate、admit 之一；此处有 %d 种",
	"role %q is held by %s, fewer than %d":                                                                               "角色 %q 的持有人为 %s，少于 %d",
	"role %q is held by %s, more than %d":                                                                                "角色 %q 的持有人为 %s，多于 %d",
	"rights to duties that are to be separate (%s) are held together by %s":                                              "应当分离的职责（%s）的权限由 %s 同时持有",
	"field %q is %s and was %s: grants, and approvals given before, of %s fields now reach it":                           "字段 %q 现为 %s，原为 %s：对 %s 字段的授权以及此前的审批现在涵盖它",
	"%s has the same by grants that follow one another (%s) from %s until %s; %s allows one of them %s":                  "%s 由相继的授权（%s）获得相同权限，自 %s 至 %s；%s 只允许其中一项持续 %s",

	// What a name in a finding is of.
	"object": "对象", "action": "操作", "field": "字段", "role": "角色", "user": "用户", "department": "部门", "class": "级别", "scope": "范围",
	"field level": "字段级别", "binding": "绑定", "grant": "授权", "action of %s": "操作，对象 %s，", "field of %s": "字段，对象 %s，",
	"an emergency": "紧急授权", "for ever": "无期限", "from an unknown start (set notBefore)": "自未知时间起（请设置 notBefore）",

	// Why a default rule of risk makes a reviewer look.
	"Whoever has somebody else's login approves, and is decided about, as that person.":                  "持有他人登录身份者，将以该人的身份审批，也以该人的身份被判定。",
	"The role is marked privileged: it gives the power over others' access or over the whole tenant.":    "该角色标为特权角色：可支配他人的权限或整个租户。",
	"Fields of class secret become readable.":                                                            "机密字段变为可读。",
	"A rule that nobody is above lets people do more, in every role at once.":                            "对所有人生效的规则放宽，所有角色同时受影响。",
	"What is deleted is gone from the CRM.":                                                              "删除的内容将从 CRM 中消失。",
	"What is exported leaves the CRM, and every later revocation with it.":                               "导出的内容离开 CRM，此后的任何撤销都无法触及。",
	"Masked values are shown in full.":                                                                   "脱敏的值将完整显示。",
	"Fields of class restricted become readable.":                                                        "受限字段变为可读。",
	"A field has a less sensitive class: grants, and approvals given before, now reach it.":              "字段的级别降低：授权以及此前的审批现在涵盖它。",
	"Somebody outside the company gets access.":                                                          "公司以外的人员获得权限。",
	"An emergency grant counts before anybody has approved it.":                                          "紧急授权在任何人批准之前即生效。",
	"Temporary grants follow one another, and together last longer than a guardrail allows one of them.": "临时授权前后相继，合计超过护栏允许的单项时长。",
	"Approvals are counted by logins: a change of them is worth as much as an approval.":                 "审批按登录身份计数：改变登录身份等同于一次审批。",
	"The scope is every record of the tenant.":                                                           "范围是租户的全部记录。",
	"A temporary grant lasts longer than 30 days, or has no start: a role may say it better.":            "临时授权超过 30 天或没有开始时间：改用角色可能更合适。",
	"The grant or binding does not say why.":                                                             "授权或绑定没有说明理由。",
	"More than 50 people are concerned at once.":                                                         "一次涉及超过 50 人。",
	"An account that was closed has all its access again.":                                               "已关闭的账号重新拥有其全部权限。",
}

// verbs are where a format has something put in.
var verbs = regexp.MustCompile(`%(?:\[(\d)\])?[sdq]`)

// put says a sentence of the engine, by its format, in the report's language.
func (w *words) put(format string, args ...phrase) (p phrase) {
	if own := w.Sentences[format]; own != "" {
		format = own
	}
	at, next := 0, 0
	for _, verb := range verbs.FindAllStringSubmatchIndex(format, -1) {
		if verb[2] >= 0 {
			next, _ = strconv.Atoi(format[verb[2]:verb[3]])
			next--
		}
		p = append(append(p, say(format[at:verb[0]])), args[next]...)
		at = verb[1]
		next++
	}
	return append(p, say(format[at:]))
}

// told is what the engine says: a sentence with what is put in, where the language has it, else in the engine's words.
func (w *words) told(message, format string, args []string) phrase {
	if w.Sentences[format] == "" {
		return w.sentence(message)
	}
	return w.put(format, each(args, w.argument)...)
}

// argument is what is put into a sentence: a name, or words of the engine in their turn.
func (w *words) argument(text string) phrase {
	if w.Sentences[text] != "" {
		return w.put(text)
	}
	for _, format := range [...]string{"action of %s", "field of %s", "nothing is inherited from %s"} {
		if of, is := strings.CutPrefix(text, strings.TrimSuffix(format, "%s")); is && w.Sentences[format] != "" {
			return w.put(format, phrase{name(of)})
		}
	}
	return phrase{name(text)}
}

// approver is somebody who may approve: a name, or in the engine's words whoever holds a role, or anybody.
func (w *words) approver(text string) phrase {
	if w.Sentences[text] != "" {
		return w.put(text)
	}
	for _, format := range [...]string{"a %s", "an %s"} {
		if role, is := strings.CutPrefix(text, strings.TrimSuffix(format, "%s")); is && w.Sentences[format] != "" {
			return w.put(format, phrase{name(role)})
		}
	}
	return phrase{{text, engine}}
}

// sentence is what the engine says where there is something.
func (w *words) sentence(text string) phrase {
	switch {
	case text == "":
		return phrase{say("–")}
	case w.Sentences[text] != "":
		return w.put(text)
	}
	return phrase{{text, engine}}
}

// number is a number in a sentence.
func number[N int | int32 | int64](n N) phrase { return phrase{say(fmt.Sprint(n))} }
