package decisionapi

import "github.com/crmaccess/crm-access-operator/internal/access"

// drafts are the records of one question, in memory that the next question gets.
type drafts struct {
	first access.Record
	used  bool
	texts []string
}

// keptAttributes is the largest table of attributes that is kept for the next question.
const keptAttributes = 32

func (d *drafts) reset() {
	attributes := d.first.Attributes
	if len(attributes) > keptAttributes {
		attributes = nil
	}
	clear(attributes)
	d.first, d.used, d.texts = access.Record{Attributes: attributes}, false, d.texts[:0]
}

// record is an empty record.
func (d *drafts) record() *access.Record {
	if d.used {
		return &access.Record{}
	}
	d.used = true
	return &d.first
}

// list is a list of one text.
func (d *drafts) list(text string) []string {
	d.texts = append(d.texts, text)
	at := len(d.texts) - 1
	return d.texts[at : at+1 : at+1]
}
