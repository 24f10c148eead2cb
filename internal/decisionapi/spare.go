package decisionapi

const (
	// keptOf is of how many entities of a kind the memory is kept for the next request: of a batch of that many, nothing is
	// allocated for them.
	keptOf = 128
	// fewProperties is how many properties most records have at most.
	fewProperties = 8
)

// spare is memory for what bodies hold.
type spare struct {
	subject       spareOf[subject]
	action        spareOf[action]
	resource      spareOf[resource]
	circumstances spareOf[circumstances]
	properties    spareProperties
	items         []item
}

// giveBack lets everything be taken again.
func (s *spare) giveBack() {
	s.subject.giveBack()
	s.action.giveBack()
	s.resource.giveBack()
	s.circumstances.giveBack()
	s.properties.giveBack()
	if cap(s.items) > keptOf {
		s.items = nil
	}
}

// spareOf is memory for values of one type: what is kept, and what of it is free. It is emptied when it is taken.
type spareOf[T any] struct {
	kept, free []T
}

func (s *spareOf[T]) take() *T {
	if len(s.free) == 0 {
		s.kept = make([]T, min(2*len(s.kept)+1, keptOf))
		s.free = s.kept
	}
	taken := &s.free[0]
	s.free = s.free[1:]
	var empty T
	*taken = empty
	return taken
}

func (s *spareOf[T]) giveBack() { s.free = s.kept }

// spareProperties is memory for the properties of records, for fewProperties of each.
type spareProperties struct {
	kept, free []property
}

// list is an empty list. One that grows beyond what is spare for it moves elsewhere.
func (s *spareProperties) list() []property {
	if len(s.free) == 0 {
		s.kept = make([]property, min(2*len(s.kept)+fewProperties, keptOf*fewProperties))
		s.free = s.kept
	}
	list := s.free[:0:fewProperties]
	s.free = s.free[fewProperties:]
	return list
}

func (s *spareProperties) giveBack() { s.free = s.kept }
