package decisionapi

import (
	"encoding/json"
	"maps"
	"slices"

	"github.com/go-json-experiment/json/jsontext"
)

// Most questions ask for no more than the decision: these are all the answers to them.
var (
	allowed = &Reply{Decision: true}
	denied  = &Reply{}
)

// appender is a reply that writes itself, without reflection.
type appender interface {
	appendTo(b []byte) ([]byte, error)
}

// appendReply writes a reply as JSON.
func appendReply(b []byte, reply any) ([]byte, error) {
	if r, ok := reply.(appender); ok {
		return r.appendTo(b)
	}
	return appendJSON(b, reply)
}

func appendJSON(b []byte, value any) ([]byte, error) {
	w := appendWriter{b}
	encoder := json.NewEncoder(&w)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(value); err != nil {
		return b, err
	}
	return w.b[:len(w.b)-1], nil // the encoder ends the line
}

type appendWriter struct{ b []byte }

func (w *appendWriter) Write(p []byte) (int, error) {
	w.b = append(w.b, p...)
	return len(p), nil
}

func (r *Reply) appendTo(b []byte) ([]byte, error) {
	if r.Context == nil {
		return append(b, r.plain()...), nil
	}
	b = append(b, r.plain()...)
	b = append(b[:len(b)-1], `,"context":`...)
	if !r.Context.fieldsOnly() {
		b, err := appendJSON(b, r.Context)
		return append(b, '}'), err
	}
	b = append(b, `{"fields":{`...)
	for i, name := range slices.Sorted(maps.Keys(r.Context.Fields)) {
		if i > 0 {
			b = append(b, ',')
		}
		b, _ = jsontext.AppendQuote(b, name) // it was read as UTF-8
		b = append(append(append(b, ':', '"'), r.Context.Fields[name]...), '"')
	}
	return append(b, "}}}"...), nil
}

func (r *Reply) plain() string {
	if r.Decision {
		return `{"decision":true}`
	}
	return `{"decision":false}`
}

func (c *ReplyContext) fieldsOnly() bool {
	return len(c.Fields) > 0 && c.Reasons == nil && c.Causes == nil && c.NearestMiss == "" && c.NearMisses == nil && c.Obligations == nil && c.Error == nil
}

func (r *Replies) appendTo(b []byte) (_ []byte, err error) {
	b = append(b, `{"evaluations":[`...)
	for i, reply := range r.Evaluations {
		if i > 0 {
			b = append(b, ',')
		}
		if b, err = reply.appendTo(b); err != nil {
			return b, err
		}
	}
	return append(b, "]}"...), nil
}
