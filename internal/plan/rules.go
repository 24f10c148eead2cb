package plan

func (c *comparison) rules() []*RuleChange { return nil }
