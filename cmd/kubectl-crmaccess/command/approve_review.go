package command

import (
	"cmp"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/crmaccess/crm-access-operator/internal/access"
)

// print says what the answer is about. What somebody would get is read from the document whose digest the answer names.
func (h *hearing) print(w io.Writer, after access.Resolution) error {
	printLine(w, "%s in namespace %s on %s", h.target, h.cluster.namespace, h.cluster.config.Host)
	for i := range h.effects {
		e := &h.effects[i]
		switch {
		case e.document == nil:
			printLine(w, "ends %s, whose object is gone or was made anew: what it says is not known here", h.target)
		case e.admission == nil:
			h.printEnd(w, e)
		default:
			if err := h.printAccess(w, e); err != nil {
				return err
			}
		}
		printLine(w, "effect: %s", e.digest)
		if e.document != nil && !travels(string(e.document)) {
			printLine(w, "note: the document is too large to travel with the Approval, which names its digest alone")
		}
		if objection := h.objection(e, after); objection != "" {
			printLine(w, "note: your answer will not count: %s", objection)
		}
	}
	return nil
}

func (h *hearing) printAccess(w io.Writer, e *effect) error {
	document, err := access.VerifyEffect(e.document, e.digest)
	if err != nil {
		return fmt.Errorf("%s: %w", h.target, err)
	}
	gives, a := document.Access, e.admission
	switch {
	case a.Review:
		printLine(w, "gives %s in an emergency, and waits for review:", h.person(gives.Subject))
	case a.State == access.AdmittedInPart:
		printLine(w, "would give %s, a part of which was approved before and counts:", h.person(gives.Subject))
	default:
		printLine(w, "would give %s:", h.person(gives.Subject))
	}
	if len(gives.Roles) > 0 {
		printLine(w, "  roles %s", strings.Join(gives.Roles, ", "))
	}
	for _, t := range gives.Tuples {
		printLine(w, "  %s", grantWords(t))
	}
	printLine(w, "%s", gives.Window.Words())
	printLine(w, "reason: %s", cmp.Or(gives.Reason, "none given"))
	printLine(w, "requested by: %s", cmp.Or(h.person(gives.RequestedBy), "nobody named"))
	printLine(w, "%s asks for %s: %d so far, from %s", askerWords(a.Rule), counted(a.Needed, "approval"), a.Have, fromWords(a))
	return nil
}

// askerWords is who asks for approvals: an emergency is reviewed also where no guardrail does.
func askerWords(guardrail string) string {
	if guardrail == "" {
		return "the emergency"
	}
	return "guardrail " + guardrail
}

func fromWords(a *access.Admission) string {
	return cmp.Or(strings.Join(a.From, " or "), "nobody who may")
}

// printEnd says what a restriction does that ends. It is the very declaration that the document was made of; one that
// somebody attached to an Approval, of an object that is gone, is shown as it is.
func (h *hearing) printEnd(w io.Writer, e *effect) {
	for _, r := range h.Revocations {
		if h.target.Kind == access.KindRevocation && access.EffectDigest(r.LiftDocument()) == e.digest {
			printLine(w, "gives back what was revoked: %s", r.Target)
			printLine(w, "revoked because: %s", r.Reason)
			return
		}
	}
	for _, g := range h.Guardrails {
		if h.target.Kind == access.KindGuardrail && access.EffectDigest(g.RemovalDocument()) == e.digest {
			printLine(w, "lets these rules go:")
			for i := range g.Rules {
				printLine(w, "  %s", g.Rules[i].Words())
			}
			return
		}
	}
	printLine(w, "ends %s, whose object is gone or was made anew: %s", h.target, e.document)
}

// report says what has come of one answer, and what happens next.
func (h *hearing) report(w io.Writer, name string, e *effect, after access.Resolution) {
	if h.options.deny {
		printLine(w, "denied: Approval/%s", name)
	} else {
		printLine(w, "approved: Approval/%s", name)
	}
	switch {
	case h.objection(e, after) != "":
		printLine(w, "it does not count: %s", h.objection(e, after))
	case e.admission != nil:
		printLine(w, "%s", nextWords(h.admissionAfter(e, after)))
	case h.options.deny:
		printLine(w, "%s stays in force, whoever else approves its end", h.target)
	case h.target.Kind == access.KindGuardrail:
		printLine(w, "it is in force for as long as it is declared; delete it where it is kept")
	case e.document == nil:
		printLine(w, "it ends if that is the digest of its end and you are one of those who may approve it")
	default:
		printLine(w, "it takes nothing away any more once the operator has seen this")
	}
	printLine(w, "whether it counts: kubectl get %s %s -n %s", namesOfKind(access.KindApproval).qualified(), name, h.cluster.namespace)
}

func nextWords(a *access.Admission) string {
	switch {
	case a.State == access.Admitted && a.Review:
		return fmt.Sprintf("nothing more is needed: what %s got in the emergency is reviewed", a.User)
	case a.State == access.Refused && a.Review:
		return fmt.Sprintf("what %s got in the emergency is found wrong; to end it at once, revoke it", a.User)
	case a.State == access.Admitted:
		return fmt.Sprintf("nothing more is needed: what %s gets counts once the operator has seen this", a.User)
	case a.State == access.Refused:
		return fmt.Sprintf("%s gets nothing of this effect, whoever else approves it", a.User)
	}
	return fmt.Sprintf("what %s gets still needs %d more, from %s", a.User, a.Needed-a.Have, fromWords(a))
}

func (h *hearing) admissionAfter(e *effect, after access.Resolution) *access.Admission {
	for i, a := range after.Admissions[h.target] {
		if a.Effect == e.digest {
			return &after.Admissions[h.target][i]
		}
	}
	return e.admission
}

// objection says why the caller's answer will not count, or "". Whether it does, the engine knows: it was asked how things
// will stand.
func (h *hearing) objection(e *effect, after access.Resolution) string {
	var subject, requester string
	switch {
	case e.admission != nil:
		before, then := e.admission, h.admissionAfter(e, after)
		if then.State != before.State || then.Have > before.Have {
			return ""
		}
		if document, err := access.ParseEffect(e.document); err == nil {
			subject, requester = document.Access.Subject, document.Access.RequestedBy
		}
	case e.document == nil || after.Lifted[h.target]:
		return ""
	}
	me, users := (*access.User)(nil), 0
	for _, u := range h.Users {
		if slices.Contains(u.Identities, h.caller) {
			me, users = u, users+1
		}
	}
	switch {
	case users == 0:
		return fmt.Sprintf("no User has %s among its identities", h.caller)
	case users > 1:
		return fmt.Sprintf("more than one User has %s among its identities", h.caller)
	case me.Name == subject:
		return fmt.Sprintf("you are %s, whose access it is", me.Name)
	case requester != "" && (requester == me.Name || slices.Contains(me.Identities, requester)):
		return fmt.Sprintf("you are %s, who asked for it", me.Name)
	case revokedBy(after, me.Name) != "":
		return fmt.Sprintf("you are %s, whom Revocation/%s ends", me.Name, revokedBy(after, me.Name))
	case me.State != access.StateActive || me.Type != access.UserEmployee:
		return fmt.Sprintf("you are %s, and only active employees approve", me.Name)
	case e.admission != nil:
		return fmt.Sprintf("you are %s, and not among those who may: %s", me.Name, fromWords(e.admission))
	}
	return fmt.Sprintf("you are %s, whom it strikes, or another has said no", me.Name)
}

// revokedBy is the revocation in force that ends all of a user's access, or "".
func revokedBy(r access.Resolution, user string) string {
	i := slices.IndexFunc(r.Facts.Users, func(u access.UserFact) bool { return u.User == user })
	if i < 0 {
		return ""
	}
	return r.Facts.Users[i].RevokedBy
}

// travels says whether an Approval can carry the document, by the limits of its definition.
func travels(document string) bool {
	const maxCharacters, maxBytes = 131072, 190000
	escaped := 17 // of each kind of character the definition counts one more than there are
	for _, r := range document {
		switch {
		case r == '"' || r == '\\':
			escaped++
		case r == '<' || r == '>' || r == '&':
			escaped += 5
		case unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp):
			return false
		}
	}
	return document != "" && utf8.RuneCountInString(document) <= maxCharacters && len(document)+escaped <= maxBytes
}
