package render

import (
	"strings"

	"github.com/crmaccess/crm-access-operator/internal/terminal"
)

// voice says whose words a piece of a phrase is.
type voice uint8

const (
	ours   voice = iota // a word of words.go
	named               // a name or a place out of the manifests: li-ting, Role/sales-rep, roles/sales-rep.yaml:12
	quoted              // what people call it: a display name
	engine              // a sentence of the engine, in English
)

type piece struct {
	text  string
	voice voice
}

// phrase is what stands in a cell. Its pieces follow each other without a space.
type phrase []piece

func say(text string) piece  { return piece{text, ours} }
func name(text string) piece { return piece{text, named} }

// plain is the phrase for a terminal.
func (p phrase) plain() string {
	var b strings.Builder
	for _, piece := range p {
		b.WriteString(piece.text)
	}
	return terminal.Printable(b.String())
}

// joined puts a word of ours between phrases.
func joined(phrases []phrase, between string) (all phrase) {
	for i, p := range phrases {
		if i > 0 {
			all = append(all, say(between))
		}
		all = append(all, p...)
	}
	return all
}

// around is what stands before and after something.
type around struct{ Before, After string }

func (a around) put(p phrase) phrase {
	return append(append(phrase{say(a.Before)}, p...), say(a.After))
}
