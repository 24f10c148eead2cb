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
	Effect, Grant, Place, Message, Says                                    string

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
	FromLevels                                    [access.LevelEdit + 1]string
	FillIn, WithoutApproval, Note, Held           string
	Levels                                        [access.LevelEdit + 1]string
	Classes                                       [access.ClassSecret + 1]string

	// What only a page says.
	Contents, SkipTo, ChangesHint, Object, Matrix, FieldMatrix, Legend, Timeline, TimelineHint, PeopleHint string
	// Letters are scopes in a matrix, NamedLetter records that are named one by one, Timed what begins or ends at a time.
	Letters            map[string]string
	NamedLetter, Timed string
	RowCount           counted

	// What a comment says where it has no room.
	Ways, CutShort, WholeAt, WholeByCommand                                                                           string
	LeftTenants, LeftChanges, LeftRules, LeftAccounts, LeftApprovals, LeftUpcoming, LeftFindings, LeftWays, LeftNames counted

	// Sentences are those of the engine, by their English format; see sentences.go.
	Sentences map[string]string
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
	Upcoming: "what changes by itself", Findings: "findings", Groups: "people",

	Number: "no", Sign: "sign", Risk: "risk", Who: "who", May: "may", Records: "records", From: "from", Until: "until", To: "to", When: "when",
	Because: "because", By: "by", Rules: "rules", Was: "was", Fields: "fields", What: "what", Guardrail: "guardrail", Concerns: "concerns", Have: "have", Rule: "guardrail",
	Effect: "effect", Grant: "access", Place: "where", Message: "message", Says: "says",

	Gains: "gains", Loses: "loses", Shifts: "shifts", Forbidden: "forbidden",
	Severities: [...]string{"low", "medium", "high", "critical"},
	RuleWeaker: "weaker", RuleTighter: "tighter", RuleDiffers: "differs",
	Whats: map[string]string{
		plan.Joins: "joins", plan.Leaves: "leaves", plan.Suspends: "is suspended", plan.Returns: "returns", plan.Moves: "moves", plan.Reports: "has another manager",
		plan.NamesSuccessor: "has another successor", plan.BecomesType: "is of another type", plan.ChangesLogins: "has other logins",
		plan.TakesLogin: "takes over somebody's login", plan.Revoked: "is revoked", plan.Released: "is revoked no more",
	},
	Verbs:  map[plan.Verb]string{plan.Added: "added", plan.Removed: "removed", plan.Changed: "changed", plan.Strayed: "strayed: the store holds something else"},
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
	Where:      " where ",
	Operators:  map[access.Operator]string{access.OperatorIn: " in ", access.OperatorNotIn: " not in ", access.OperatorExists: " is set"},
	FromLevels: [...]string{"from none", "from masked", "from read", "from edit"},
	FillIn:     "fields to fill in", WithoutApproval: "without approval beyond",
	Note: "note", Held: "the guardrail is gone from head; a cluster keeps its rules in force until its removal is approved or released",
	Levels:  [...]string{"fields without access", "fields masked", "fields to read", "fields to edit"},
	Classes: [...]string{"class unknown", "public", "internal", "confidential", "restricted", "secret"},

	Contents: "contents", SkipTo: "Skip to the changes", Object: "object",
	ChangesHint: "The riskiest first. Open a row for its causes, its ways and its people; the browser's search finds every name, in folded rows too. All times are UTC.",
	Matrix:      "before and after: actions", FieldMatrix: "before and after: fields",
	Legend:   "Records before → after: O own, I involved, S subordinates, D department, B department and below, A all, N named in the grant, – none; * where a condition holds, T for a time. + gains, - loses, ~ shifts. An empty cell has not changed.",
	Timeline: "windows of time", TimelineHint: "What begins or ends at a time, from now on. A dashed frame is the window that the access had.",
	PeopleHint:  "Who is in which rows. People whom the same rows are about stand together.",
	Letters:     map[string]string{"own": "O", "involved": "I", "subordinates": "S", "department": "D", "departmentAndBelow": "B", "all": "A"},
	NamedLetter: "N", Timed: "T",
	RowCount: counted{"%d row", "%d rows"},

	Ways: "why, and by which way", CutShort: "Cut to what a comment holds; left out are:",
	WholeAt: "All of it: %s", WholeByCommand: "All of it is printed by the same command with %s",
	LeftTenants: counted{"%d tenant", "%d tenants"}, LeftChanges: counted{"%d change of access", "%d changes of access"},
	LeftRules: counted{"%d change of a guardrail", "%d changes of guardrails"}, LeftAccounts: counted{"%d account", "%d accounts"},
	LeftApprovals: counted{"%d approval", "%d approvals"}, LeftUpcoming: counted{"%d change that comes by itself", "%d changes that come by themselves"},
	LeftFindings: counted{"%d finding", "%d findings"}, LeftWays: counted{"the ways of %d row", "the ways of %d rows"},
	LeftNames: counted{"%d name", "%d names"},
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
	Effect: "效果", Grant: "权限", Place: "位置", Message: "说明", Says: "内容",

	Gains: "获得", Loses: "失去", Shifts: "转移", Forbidden: "禁止",
	Severities: [...]string{"低", "中", "高", "严重"},
	RuleWeaker: "放宽", RuleTighter: "收紧", RuleDiffers: "改变",
	Whats: map[string]string{
		plan.Joins: "加入", plan.Leaves: "离开", plan.Suspends: "停用", plan.Returns: "恢复", plan.Moves: "调动", plan.Reports: "更换上级",
		plan.NamesSuccessor: "更换继任者", plan.BecomesType: "账号类型改变", plan.ChangesLogins: "登录身份改变",
		plan.TakesLogin: "接用他人的登录身份", plan.Revoked: "被撤销", plan.Released: "不再被撤销",
	},
	Verbs:  map[plan.Verb]string{plan.Added: "新增", plan.Removed: "删除", plan.Changed: "修改", plan.Strayed: "存储中的内容与声明不符"},
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
	Where:      "，条件 ",
	Operators:  map[access.Operator]string{access.OperatorIn: " 属于 ", access.OperatorNotIn: " 不属于 ", access.OperatorExists: " 有值"},
	FromLevels: [...]string{"原不可见", "原为脱敏", "原为只读", "原为可编辑"},
	FillIn:     "可填写字段", WithoutApproval: "无需审批，范围超出",
	Note: "提示", Held: "新版本中已无此护栏；在移除获得批准或放行之前，集群仍执行其规则",
	Levels:  [...]string{"不可见字段", "脱敏字段", "可读字段", "可编辑字段"},
	Classes: [...]string{"级别未知", "公开", "内部", "保密", "受限", "机密"},

	Contents: "目录", SkipTo: "跳到变更内容", Object: "对象",
	ChangesHint: "按风险从高到低排列。展开一行可查看原因、途径和人员；浏览器的查找功能可以找到每个姓名，包括折叠的内容。所有时间均为协调世界时。",
	Matrix:      "变更前后：操作", FieldMatrix: "变更前后：字段",
	Legend:   "记录范围，之前 → 之后：己 本人，参 参与，属 下属，部 本部门，下 本部门及下级，全 全部，指 授权中逐一列出，– 无；* 附带条件，限 有时限。+ 获得，- 失去，~ 转移。空白表示没有变化。",
	Timeline: "有效期", TimelineHint: "从现在起，在某一时刻开始或结束的权限。虚线框为原来的有效期。",
	PeopleHint:  "每个人涉及哪些行。涉及相同行的人员列在一起。",
	Letters:     map[string]string{"own": "己", "involved": "参", "subordinates": "属", "department": "部", "departmentAndBelow": "下", "all": "全"},
	NamedLetter: "指", Timed: "限",
	RowCount: counted{"%d 行", "%d 行"},

	Ways: "原因与途径", CutShort: "评论篇幅有限，已省略：",
	WholeAt: "完整内容：%s", WholeByCommand: "完整内容请用同一命令加 %s 查看",
	LeftTenants: counted{"%d 个租户", "%d 个租户"}, LeftChanges: counted{"%d 项权限变化", "%d 项权限变化"},
	LeftRules: counted{"%d 项护栏变化", "%d 项护栏变化"}, LeftAccounts: counted{"%d 个账号", "%d 个账号"},
	LeftApprovals: counted{"%d 项审批", "%d 项审批"}, LeftUpcoming: counted{"%d 项将自动发生的变化", "%d 项将自动发生的变化"},
	LeftFindings: counted{"%d 项检查结果", "%d 项检查结果"}, LeftWays: counted{"%d 行的途径", "%d 行的途径"},
	LeftNames: counted{"%d 个姓名", "%d 个姓名"},

	Sentences: chineseSentences,
}
