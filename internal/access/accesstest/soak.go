package accesstest

import (
	"math/rand/v2"
	"os"
	"strconv"
	"testing"
)

// What the environment may say of random tests: `make soak` asks for a million questions, and a failed run names its
// seed, which makes it happen again.
const (
	seedVariable      = "CRMACCESS_SEED"
	questionsVariable = "CRMACCESS_QUESTIONS"
)

// seeded is the seed of this run: all its tests have one, so that one number is enough to have them all again.
var seeded = rand.Uint64()

// Random is where a test draws from. It prints the seed, which CRMACCESS_SEED sets.
func Random(t testing.TB) *rand.Rand {
	t.Helper()
	seed := fromEnvironment(t, seedVariable, seeded)
	t.Logf("seed: %s=%d", seedVariable, seed)
	return rand.New(rand.NewPCG(seed, 1))
}

// Questions is how many questions to ask of a path that is held against the reference: 20,000, or what CRMACCESS_QUESTIONS
// says. Tests that use it have Agree in their name: `make soak` runs those.
func Questions(t testing.TB) int {
	t.Helper()
	return int(fromEnvironment(t, questionsVariable, 20_000))
}

func fromEnvironment(t testing.TB, variable string, otherwise uint64) uint64 {
	t.Helper()
	text := os.Getenv(variable)
	if text == "" {
		return otherwise
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatalf("%s is %q: want a number without sign", variable, text)
	}
	return n
}
