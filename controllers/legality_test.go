package controllers_test

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"slices"
	"strconv"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
)

func sortedList(list []string) []string {
	slices.Sort(list)
	return list
}

// documentedReasons are the constants named Reason… of the API, by their value.
var documentedReasons = func() map[string]bool {
	file, err := parser.ParseFile(token.NewFileSet(), "../api/v1alpha1/conditions.go", nil, parser.ParseComments)
	if err != nil {
		panic(err)
	}
	reasons := make(map[string]bool)
	ast.Inspect(file, func(node ast.Node) bool {
		spec, ok := node.(*ast.ValueSpec)
		if ok && strings.HasPrefix(spec.Names[0].Name, "Reason") && spec.Doc.Text() != "" {
			value, err := strconv.Unquote(spec.Values[0].(*ast.BasicLit).Value)
			if err != nil {
				panic(err)
			}
			reasons[value] = true
		}
		return true
	})
	return reasons
}()

// expectLegal checks the status of every object of a namespace against the contract. Every spec does, at its end.
func expectLegal(namespace string) {
	GinkgoHelper()
	for _, u := range listAll(k8s, namespace) {
		Expect(illegal(&u)).To(BeEmpty(), "status of %s/%s: %v", u.GetKind(), u.GetName(), u.Object["status"])
	}
}

// illegal says what is against the contract in an object's status:
//
//  1. Ready is there; a status that is the CRD's default is that and nothing else.
//  2. observedGeneration is not ahead of the generation, and every condition has the same.
//  3. Reconciling and Stalled are True or absent, and never both; neither is there beside Ready=True, one is beside False.
//  4. Reasons are documented constants; a message says something, in one line.
//  5. Active is on a TemporaryGrant and nowhere else. Transition times are set.
//  6. Managed fields of the operator are under status alone.
func illegal(u *unstructured.Unstructured) (faults []string) {
	fault := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	observed, _, _ := unstructured.NestedInt64(u.Object, "status", "observedGeneration")
	conditions, _, _ := unstructured.NestedSlice(u.Object, "status", "conditions")
	byType := map[string]map[string]any{}
	for _, c := range conditions {
		c := c.(map[string]any)
		byType[c["type"].(string)] = c
	}
	ready := byType["Ready"]
	if ready == nil {
		fault("no Ready")
		return faults
	}
	if ready["reason"] == "Pending" {
		if ready["status"] != "Unknown" || observed != 0 || len(conditions) != 1 {
			fault("a default with more")
		}
		return faults
	}
	if observed > u.GetGeneration() || observed == 0 {
		fault("observed generation %d of %d", observed, u.GetGeneration())
	}
	for kind, c := range byType {
		if c["observedGeneration"] != observed {
			fault("%s is of generation %v", kind, c["observedGeneration"])
		}
		if reason, _ := c["reason"].(string); !documentedReasons[reason] {
			fault("%s has the undocumented reason %q", kind, reason)
		}
		if message, _ := c["message"].(string); message == "" || strings.ContainsAny(message, "\n\r\t") {
			fault("%s has the message %q", kind, message)
		}
		at, err := time.Parse(time.RFC3339, c["lastTransitionTime"].(string))
		if err != nil || at.Year() < 2000 {
			fault("%s changed at %v", kind, c["lastTransitionTime"])
		}
	}
	abnormal := 0
	for _, kind := range []string{"Reconciling", "Stalled"} {
		if c := byType[kind]; c != nil {
			abnormal++
			if c["status"] != "True" {
				fault("%s is %v", kind, c["status"])
			}
		}
	}
	if want := map[any]int{"True": 0, "False": 1}[ready["status"]]; abnormal != want {
		fault("Ready is %v beside %d of Reconciling and Stalled", ready["status"], abnormal)
	}
	if _, ok := byType["Active"]; ok && u.GetKind() != "TemporaryGrant" {
		fault("Active on a %s", u.GetKind())
	}
	return append(faults, ownedOutsideStatus(u)...)
}

// ownedOutsideStatus lists what the operator owns besides the status.
func ownedOutsideStatus(u *unstructured.Unstructured) (faults []string) {
	for _, entry := range u.GetManagedFields() {
		if entry.Manager != "crm-access-operator" {
			continue
		}
		if entry.Subresource != "status" || entry.Operation != "Apply" {
			faults = append(faults, fmt.Sprintf("the operator has made a %s of subresource %q", entry.Operation, entry.Subresource))
		}
		if text := entry.FieldsV1.GetRawString(); !strings.HasPrefix(text, `{"f:status":`) || strings.Contains(text, `"f:spec"`) || strings.Contains(text, `"f:metadata"`) {
			faults = append(faults, "the operator owns "+text)
		}
	}
	return faults
}
