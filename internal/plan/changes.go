package plan

// changes are the rows of effective access that differ, without their risk.
func (c *comparison) changes() []*Change { return nil }
