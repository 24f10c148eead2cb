package v1alpha1

import metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"

// Approval is one person's yes or no to an effect: to what a TemporaryGrant or UserBinding gives, to the lift of a
// Revocation or the loosening of a Guardrail. That person makes it in the cluster; it is not kept in the Git that is
// synced, and never changes.
//
// +kubebuilder:object:root=true
// +kubebuilder:subresource:status
// +kubebuilder:resource:path=approvals,scope=Namespaced,categories=crmaccess,shortName=capproval
// +kubebuilder:printcolumn:name="Kind",type=string,JSONPath=`.spec.for.kind`
// +kubebuilder:printcolumn:name="For",type=string,JSONPath=`.spec.for.name`
// +kubebuilder:printcolumn:name="Decision",type=string,JSONPath=`.spec.decision`
// +kubebuilder:printcolumn:name="Approver",type=string,JSONPath=`.spec.approver`
// +kubebuilder:printcolumn:name="Ready",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].status`
// +kubebuilder:printcolumn:name="Reason",type=string,JSONPath=`.status.conditions[?(@.type=="Ready")].reason`
// +kubebuilder:printcolumn:name="Effect",type=string,priority=1,JSONPath=`.spec.effect`
// +kubebuilder:printcolumn:name="Comment",type=string,priority=1,JSONPath=`.spec.comment`
// +kubebuilder:printcolumn:name="Message",type=string,priority=1,JSONPath=`.status.conditions[?(@.type=="Ready")].message`
// +kubebuilder:printcolumn:name="Age",type=date,JSONPath=`.metadata.creationTimestamp`
// +kubebuilder:validation:XValidation:rule="size(self.metadata.name) <= 63",message="metadata.name must be at most 63 characters: other objects refer to it by name"
type Approval struct {
	metav1.TypeMeta `json:",inline"`
	// +optional
	metav1.ObjectMeta `json:"metadata,omitzero"`

	// spec is who says yes or no to what. It cannot be changed.
	// +kubebuilder:validation:XValidation:rule="self == oldSelf",message="an Approval cannot be changed: make a new one"
	// +required
	Spec ApprovalSpec `json:"spec"`

	// status is written by the operator.
	// +kubebuilder:default={conditions: {{type: "Ready", status: "Unknown", reason: "Pending", message: "waiting for the operator", lastTransitionTime: "1970-01-01T00:00:00Z"}}}
	// +optional
	Status Status `json:"status,omitzero"`
}

// ApprovalSpec is one person's answer.
//
// The rule bounds the object's size as compact JSON: JSON writes a quote or a backslash of the document as two bytes,
// and <, > and & as six.
//
// +kubebuilder:validation:XValidation:rule="!has(self.document) || size(bytes(self.document)) + size(self.document.split('\"')) + size(self.document.split('\\\\')) + 5 * (size(self.document.split('<')) + size(self.document.split('>')) + size(self.document.split('&'))) <= 190000",message="the document is too large: an object must stay below 200 KiB; leave document away and approve by the digest alone"
type ApprovalSpec struct {
	// for is the object whose effect this is about.
	// +required
	For ApprovalTarget `json:"for"`

	// effect is the digest of the effect document that was shown to the approver: sha256: and 64 hexadecimal digits.
	// Whatever gives more than that document needs a new approval; what gives the same or less does not.
	// +kubebuilder:validation:MaxLength=71
	// +kubebuilder:validation:Pattern=`^sha256:[0-9a-f]{64}$`
	// +required
	Effect string `json:"effect"`

	// decision is Approve or Deny.
	// +kubebuilder:validation:Enum=Approve;Deny
	// +required
	Decision string `json:"decision"`

	// approver is the username under which the approver is logged in to the cluster. Admission lets nobody name
	// somebody else.
	// +kubebuilder:validation:MinLength=1
	// +kubebuilder:validation:MaxLength=253
	// +kubebuilder:validation:Pattern=`^[^\p{Cc}\p{Zl}\p{Zp}]*$`
	// +required
	Approver string `json:"approver"`

	// comment is what the approver adds. It changes no decision.
	// +optional
	Comment Sentence `json:"comment,omitempty"`

	// document is the effect document in canonical JSON, whose sha256 is effect, at most 131072 characters, so that the
	// approval says itself what was approved. What narrows the effect later is recognised by it.
	// +kubebuilder:validation:MaxLength=131072
	// +kubebuilder:validation:Pattern=`^[^\p{Cc}\p{Zl}\p{Zp}]*$`
	// +optional
	Document string `json:"document,omitempty"`
}

// ApprovalTarget names the object that an Approval is about, in the same namespace.
type ApprovalTarget struct {
	// kind is TemporaryGrant or UserBinding, whose effect is approved; Revocation, whose lift is; or Guardrail, whose
	// loosening is.
	// +kubebuilder:validation:Enum=TemporaryGrant;UserBinding;Revocation;Guardrail
	// +required
	Kind string `json:"kind"`

	// name is the name of the object.
	// +required
	Name Reference `json:"name"`
}

// ApprovalList is a list of approvals.
//
// +kubebuilder:object:root=true
type ApprovalList struct {
	metav1.TypeMeta `json:",inline"`
	metav1.ListMeta `json:"metadata,omitempty"`
	Items           []Approval `json:"items"`
}
