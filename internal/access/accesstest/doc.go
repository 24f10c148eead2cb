// Package accesstest is what every path that decides is held against: random organisations, questions that fall on and
// around every boundary of them, and a plain reference that answers straight from the declarations.
//
//	random := accesstest.Random(t)
//	world := accesstest.NewWorld(random, accesstest.Small)
//	reference := accesstest.Reference{Declarations: world}
//	for range accesstest.Questions(t) {
//		now, request := accesstest.NewQuestion(random, world)
//		effect, levels := reference.Decide(now, request)
//		…
//	}
//
// In tests alone. It knows declarations and requests and nothing of facts, policies or stores: what is tested has no part
// in what is expected of it.
package accesstest
