package access

// matching gives each rule a person of its own, moving those who already have one where that helps (Kuhn 1955).
type matching struct {
	people int
	fits   func(rule, person int) bool
	rules  []int // by person, one more than the rule; zero where there is none
	asked  []bool
}

func (m *matching) all(rules int) bool {
	m.rules = make([]int, m.people)
	for rule := range rules {
		m.asked = make([]bool, m.people)
		if !m.give(rule) {
			return false
		}
	}
	return true
}

func (m *matching) give(rule int) bool {
	for person := range m.people {
		if m.asked[person] || !m.fits(rule, person) {
			continue
		}
		m.asked[person] = true
		if other := m.rules[person]; other == 0 || m.give(other-1) {
			m.rules[person] = rule + 1
			return true
		}
	}
	return false
}
