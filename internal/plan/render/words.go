package render

import (
	"fmt"

	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/plan"
)

// Lang is a language that a plan is told in.
type Lang string

// The languages.
const (
	English Lang = "en"
	Chinese Lang = "zh"
)

// ParseLang reads a language's name.
func ParseLang(name string) (Lang, error) {
	if lang := Lang(name); lang == English || lang == Chinese {
		return lang, nil
	}
	return "", fmt.Errorf("unknown language %q: want en or zh", name)
}

// wordsOf are the words of a language; of none, they are English.
func wordsOf(lang Lang) *words {
	if lang == Chinese {
		return &chinese
	}
	return &english
}

// counted is a sentence about a number of things. Its one verb is %d.
type counted struct{ One, Many string }

func (c counted) of(n int) string {
	if n == 1 {
		return fmt.Sprintf(c.One, n)
	}
	return fmt.Sprintf(c.Many, n)
}

// words is all that a report says by itself, in one language. Nothing else in this package is a word that people read. What
// manifests and the engine say stands as it is in every language.
type words struct {
	Tag string // the language, as HTML names it

	// What stands between parts of a sentence.
	Comma, Clause, Semicolon, Colon, Open, Close, Or, And string
	List                                                  around

	// The headline, and what was compared.
	Title, NoChange, Since                                      string
	Gain, Lose, Shift, Weaker, Tighter, Differ, Approve, Forbid counted

	// Titles of sections.
	Changes, Guardrails, Accounts, Approvals, Upcoming, Findings, Groups string

	// Headers of columns, and labels of notes.
	Number, Sign, Risk, Who, May, Records, From, Until, To, When           string
	Because, By, Rules, Was, Fields, What, Guardrail, Concerns, Have, Rule string
	Effect, Grant, Place, Message, RuleBefore, RuleAfter                   string

	// Values of cells.
	Gains, Loses, Shifts, Forbidden      string
	Severities                           [plan.Critical + 1]string
	RuleWeaker, RuleTighter, RuleDiffers string
	Whats                                map[string]string
	Verbs                                map[plan.Verb]string
	HaveOf, NobodyMay, MergedAlone       string
	Fault, Advice                        string
	PeopleCount, MoreNames               counted
	FieldCount                           counted
	OfPeople                             string

	// Records, fields and times.
	Nothing, AtOnce, NoEnd, UntilThen             string
	Scopes                                        map[string]string
	IDs, Owners, Participants, Departments, Trees around
	Where                                         string
	Operators                                     map[access.Operator]string
	Levels                                        [access.LevelEdit + 1]string
	Classes                                       [access.ClassSecret + 1]string
}

// severity is a severity in words.
func (w *words) severity(s plan.Severity) string { return w.Severities[min(s, plan.Critical)] }

// sign is a direction in words.
func (w *words) sign(s plan.Sign) string {
	switch s {
	case plan.Gain:
		return w.Gains
	case plan.Loss:
		return w.Loses
	}
	return w.Shifts
}

var english = words{
	Tag:   "en",
	Comma: ", ", Clause: ", ", Semicolon: "; ", Colon: ": ", Open: " (", Close: ")", Or: " or ", And: " and ",
	List: around{"[", "]"},

	Title: "Plan of access", NoChange: "no change of access", Since: "compared from %s on",
	Gain: counted{"%d person gains", "%d people gain"}, Lose: counted{"%d person loses", "%d people lose"},
	Shift:  counted{"the access of %d person shifts", "the access of %d people shifts"},
	Weaker: counted{"%d guardrail is weaker", "%d guardrails are weaker"}, Tighter: counted{"%d guardrail is tighter", "%d guardrails are tighter"},
	Differ:  counted{"%d guardrail differs", "%d guardrails differ"},
	Approve: counted{"%d approval needed", "%d approvals needed"}, Forbid: counted{"%d change is forbidden", "%d changes are forbidden"},

	Changes: "changes of access", Guardrails: "guardrails", Accounts: "accounts", Approvals: "needs approval, and confers nothing before",
	Upcoming: "changes by itself", Findings: "findings", Groups: "people",

	Number: "no", Sign: "sign", Risk: "risk", Who: "who", May: "may", Records: "records", From: "from", Until: "until", To: "to", When: "when",
	Because: "because", By: "by", Rules: "rules", Was: "was", Fields: "fields", What: "what", Guardrail: "guardrail", Concerns: "concerns", Have: "have", Rule: "guardrail",
	Effect: "effect", Grant: "access", Place: "where", Message: "message", RuleBefore: "before", RuleAfter: "after",

	Gains: "gains", Loses: "loses", Shifts: "shifts", Forbidden: "forbidden",
	Severities: [...]string{"low", "medium", "high", "critical"},
	RuleWeaker: "weaker", RuleTighter: "tighter", RuleDiffers: "differs",
	Whats:  map[string]string{"joins": "joins", "leaves": "leaves", "returns": "returns", "moves": "moves", "reports": "reports to somebody else"},
	Verbs:  map[plan.Verb]string{plan.Added: "added", plan.Removed: "removed", plan.Changed: "changed"},
	HaveOf: "%d of %d", NobodyMay: "nobody who may", MergedAlone: "valid if merged alone",
	Fault: "error", Advice: "advice",
	PeopleCount: counted{"%d person", "%d people"}, MoreNames: counted{"and %d more", "and %d more"},
	OfPeople: "%d of %d people", FieldCount: counted{"%d field", "%d fields"},

	Nothing: "nothing", AtOnce: "at once", NoEnd: "no end", UntilThen: "until %s",
	Scopes: map[string]string{
		"own": "own", "involved": "involved", "subordinates": "subordinates", "department": "department",
		"departmentAndBelow": "departmentAndBelow", "all": "all",
	},
	IDs: around{"the records ", ""}, Owners: around{"owned by ", ""}, Participants: around{"with ", " taking part"},
	Departments: around{"in ", ""}, Trees: around{"in ", " and below"},
	Where:     " where ",
	Operators: map[access.Operator]string{access.OperatorIn: " in ", access.OperatorNotIn: " not in ", access.OperatorExists: " is set"},
	Levels:    [...]string{"fields without access", "fields masked", "fields to read", "fields to edit"},
	Classes:   [...]string{"class unknown", "public", "internal", "confidential", "restricted", "secret"},
}

var chinese = words{
	Tag:   "zh-CN",
	Comma: "、", Clause: "，", Semicolon: "；", Colon: "：", Open: "（", Close: "）", Or: " 或 ", And: " 且 ",
	List: around{"[", "]"},

	Title: "访问权限变更计划", NoChange: "访问权限没有变化", Since: "自 %s 起比较",
	Gain: counted{"%d 人获得权限", "%d 人获得权限"}, Lose: counted{"%d 人失去权限", "%d 人失去权限"},
	Shift:  counted{"%d 人的权限有所转移", "%d 人的权限有所转移"},
	Weaker: counted{"%d 条护栏放宽", "%d 条护栏放宽"}, Tighter: counted{"%d 条护栏收紧", "%d 条护栏收紧"},
	Differ:  counted{"%d 条护栏改变", "%d 条护栏改变"},
	Approve: counted{"需要 %d 项审批", "需要 %d 项审批"}, Forbid: counted{"%d 项变更被禁止", "%d 项变更被禁止"},

	Changes: "权限变化", Guardrails: "护栏", Accounts: "账号", Approvals: "待审批（批准前不授予任何权限）",
	Upcoming: "将自动发生的变化", Findings: "检查结果", Groups: "人员",

	Number: "序号", Sign: "方向", Risk: "风险", Who: "人员", May: "可以", Records: "记录", From: "自", Until: "至", To: "变为", When: "时间",
	Because: "原因", By: "途径", Rules: "规则", Was: "原为", Fields: "字段", What: "事项", Guardrail: "护栏", Concerns: "涉及", Have: "已批", Rule: "护栏",
	Effect: "效果", Grant: "权限", Place: "位置", Message: "说明", RuleBefore: "之前", RuleAfter: "之后",

	Gains: "获得", Loses: "失去", Shifts: "转移", Forbidden: "禁止",
	Severities: [...]string{"低", "中", "高", "严重"},
	RuleWeaker: "放宽", RuleTighter: "收紧", RuleDiffers: "改变",
	Whats:  map[string]string{"joins": "加入", "leaves": "离开", "returns": "返回", "moves": "调动", "reports": "更换上级"},
	Verbs:  map[plan.Verb]string{plan.Added: "新增", plan.Removed: "删除", plan.Changed: "修改"},
	HaveOf: "%d / %d", NobodyMay: "无人可批", MergedAlone: "仅在单独合并时有效",
	Fault: "错误", Advice: "建议",
	PeopleCount: counted{"%d 人", "%d 人"}, MoreNames: counted{"另有 %d 项", "另有 %d 项"},
	OfPeople: "%d / %d 人", FieldCount: counted{"%d 个字段", "%d 个字段"},

	Nothing: "无", AtOnce: "立即", NoEnd: "无期限", UntilThen: "至 %s",
	Scopes: map[string]string{
		"own": "本人", "involved": "参与", "subordinates": "下属", "department": "本部门",
		"departmentAndBelow": "本部门及下级", "all": "全部",
	},
	IDs: around{"记录 ", ""}, Owners: around{"负责人为 ", ""}, Participants: around{"参与人为 ", ""},
	Departments: around{"部门 ", ""}, Trees: around{"部门 ", " 及下级"},
	Where:     "，条件 ",
	Operators: map[access.Operator]string{access.OperatorIn: " 属于 ", access.OperatorNotIn: " 不属于 ", access.OperatorExists: " 有值"},
	Levels:    [...]string{"不可见字段", "脱敏字段", "可读字段", "可编辑字段"},
	Classes:   [...]string{"级别未知", "公开", "内部", "保密", "受限", "机密"},
}
