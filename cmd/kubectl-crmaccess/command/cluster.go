package command

import (
	"bufio"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"
	authenticationv1 "k8s.io/api/authentication/v1"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
	"k8s.io/apimachinery/pkg/api/meta"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/apis/meta/v1/unstructured"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/client-go/dynamic"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/clientcmd"

	"github.com/crmaccess/crm-access-operator/api/v1alpha1"
	"github.com/crmaccess/crm-access-operator/internal/access"
	"github.com/crmaccess/crm-access-operator/internal/manifest"
)

// clusterFlags say which cluster and namespace a command is about, as kubectl's do.
type clusterFlags struct{ kubeconfig, context, namespace string }

func (f *clusterFlags) add(flags *pflag.FlagSet) {
	flags.StringVar(&f.kubeconfig, "kubeconfig", "", "the kubeconfig file")
	flags.StringVar(&f.context, "context", "", "the context of the kubeconfig")
}

func (f *clusterFlags) addNamespace(flags *pflag.FlagSet) {
	flags.StringVarP(&f.namespace, "namespace", "n", "", "the namespace (default that of the kubeconfig's context)")
}

// cluster is a connection under the caller's own identity.
type cluster struct {
	config    *rest.Config
	client    dynamic.Interface
	namespace string
}

func (f *clusterFlags) connect() (*cluster, error) {
	rules := clientcmd.NewDefaultClientConfigLoadingRules()
	rules.ExplicitPath = f.kubeconfig
	loader := clientcmd.NewNonInteractiveDeferredLoadingClientConfig(rules, &clientcmd.ConfigOverrides{CurrentContext: f.context})
	config, err := loader.ClientConfig()
	if err != nil {
		return nil, fmt.Errorf("read the kubeconfig: %w", err)
	}
	namespace := f.namespace
	if namespace == "" {
		if namespace, _, err = loader.Namespace(); err != nil {
			return nil, fmt.Errorf("read the kubeconfig: %w", err)
		}
	}
	config.QPS, config.Burst = 50, 300 // as kubectl's: client-go's own are for controllers, and make whoever reads pages wait
	client, err := dynamic.NewForConfig(config)
	if err != nil {
		return nil, fmt.Errorf("connect to %s: %w", config.Host, err)
	}
	return &cluster{config: config, client: client, namespace: namespace}, nil
}

func (c *cluster) resource(name string) dynamic.ResourceInterface {
	return c.client.Resource(v1alpha1.GroupVersion.WithResource(name)).Namespace(c.namespace)
}

// caller is the username that the cluster knows the caller by.
func (c *cluster) caller(ctx context.Context) (string, error) {
	clients, err := kubernetes.NewForConfig(c.config)
	if err != nil {
		return "", fmt.Errorf("connect to %s: %w", c.config.Host, err)
	}
	review, err := clients.AuthenticationV1().SelfSubjectReviews().Create(ctx, &authenticationv1.SelfSubjectReview{}, metav1.CreateOptions{})
	if err != nil {
		return "", fmt.Errorf("ask %s who you are: %w", c.config.Host, err)
	}
	return review.Status.UserInfo.Username, nil
}

// kindNames are the words that a kind that declares access goes by.
type kindNames struct {
	kind     access.Kind
	resource string
	words    []string
}

var declaringKinds = []kindNames{
	{access.KindObjectType, "objecttypes", nil},
	{access.KindDepartment, "departments", nil},
	{access.KindUser, "users", []string{"cuser"}},
	{access.KindRole, "roles", []string{"crole"}},
	{access.KindUserBinding, "userbindings", []string{"cbind", "binding"}},
	{access.KindTemporaryGrant, "temporarygrants", []string{"cgrant", "grant"}},
	{access.KindGuardrail, "guardrails", []string{"cguard"}},
	{access.KindApproval, "approvals", nil},
	{access.KindRevocation, "revocations", []string{"crevoke"}},
}

func namesOfKind(kind access.Kind) kindNames {
	return declaringKinds[slices.IndexFunc(declaringKinds, func(k kindNames) bool { return k.kind == kind })]
}

// qualified is how kubectl is told the resource: a bare role is Kubernetes' own.
func (k kindNames) qualified() string { return k.resource + "." + v1alpha1.Group }

// is says whether a word, as kubectl takes it, means the kind.
func (k kindNames) is(word string) bool {
	word = strings.ToLower(word)
	for _, suffix := range []string{"." + v1alpha1.Group, "." + v1alpha1.GroupVersion.Version} {
		word = strings.TrimSuffix(word, suffix)
	}
	return word == strings.ToLower(string(k.kind)) || word == k.resource || slices.Contains(k.words, word)
}

// parseTarget reads KIND/NAME, of one of the kinds.
func parseTarget(cmd *cobra.Command, argument string, kinds ...access.Kind) (access.Ref, error) {
	word, name, _ := strings.Cut(argument, "/")
	if word == "" || name == "" {
		return access.Ref{}, usageError(cmd, "%q: want KIND/NAME, such as %s/NAME", argument, strings.ToLower(string(kinds[0])))
	}
	for _, kind := range kinds {
		if namesOfKind(kind).is(word) {
			return access.Ref{Kind: kind, Name: name}, nil
		}
	}
	known := make([]string, len(kinds))
	for i, kind := range kinds {
		known[i] = strings.ToLower(string(kind))
	}
	return access.Ref{}, usageError(cmd, "unknown kind %q: want one of %s", word, strings.Join(known, ", "))
}

// declared is what a namespace declares now.
type declared struct {
	access.Declarations
	names map[access.Ref]bool // of every object, also of those that do not convert
}

// read reads every declaration of the namespace as the caller may see it. One that does not convert confers nothing, as in
// the operator.
func (c *cluster) read(ctx context.Context, notes io.Writer) (*declared, error) {
	scheme := runtime.NewScheme()
	if err := v1alpha1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	d := &declared{names: make(map[access.Ref]bool)}
	for _, k := range declaringKinds {
		objects, err := c.list(ctx, k)
		if err != nil {
			return nil, err
		}
		for i := range objects {
			d.names[access.Ref{Kind: k.kind, Name: objects[i].GetName()}] = true
			object, err := typed(scheme, k.kind, &objects[i])
			if err != nil {
				return nil, err
			}
			if approval, ok := object.(*v1alpha1.Approval); ok && isUnproven(approval) {
				continue
			}
			if err := manifest.Declare(&d.Declarations, object); err != nil {
				printLine(notes, "note: %v: it confers nothing", err)
			}
		}
	}
	return d, nil
}

// pageSize is how many objects are asked for at once, as kubectl does.
const pageSize = 500

// list lists every object of a kind. All pages are of one state; where the server has forgotten that state before the last
// page, the list is had anew and whole.
func (c *cluster) list(ctx context.Context, k kindNames) ([]unstructured.Unstructured, error) {
	var objects []unstructured.Unstructured
	options := metav1.ListOptions{Limit: pageSize}
	for {
		page, err := c.resource(k.resource).List(ctx, options)
		switch {
		case apierrors.IsResourceExpired(err) && options.Continue != "":
			objects, options = nil, metav1.ListOptions{}
			continue
		case apierrors.IsForbidden(err):
			return nil, fmt.Errorf("%w\nwhat access comes to is seen from all declarations: ask for the role crm-access-operator-viewer in namespace %s", err, c.namespace)
		case apierrors.IsNotFound(err):
			return nil, fmt.Errorf("list %s on %s: %w\nthe cluster does not serve the kind: is crm-access-operator of this version installed there?", k.qualified(), c.config.Host, err)
		case err != nil:
			return nil, fmt.Errorf("list %s of namespace %s on %s: %w", k.qualified(), c.namespace, c.config.Host, err)
		}
		objects = append(objects, page.Items...)
		if options.Continue = page.GetContinue(); options.Continue == "" {
			return objects, nil
		}
	}
}

func typed(scheme *runtime.Scheme, kind access.Kind, object *unstructured.Unstructured) (v1alpha1.Object, error) {
	out, err := scheme.New(v1alpha1.GroupVersion.WithKind(string(kind)))
	if err != nil {
		return nil, err
	}
	if err := runtime.DefaultUnstructuredConverter.FromUnstructured(object.Object, out); err != nil {
		return nil, fmt.Errorf("read %s/%s: %w", kind, object.GetName(), err)
	}
	return out.(v1alpha1.Object), nil
}

// isUnproven says whether the operator has found that the approval does not count, since anybody may have made it.
func isUnproven(approval *v1alpha1.Approval) bool {
	ready := meta.FindStatusCondition(approval.Status.Conditions, v1alpha1.ConditionReady)
	return ready != nil && (ready.Reason == v1alpha1.ReasonAdmissionUnproven || ready.Reason == v1alpha1.ReasonAdmissionNotInForce)
}

// missing says that an object is not there, and which one may be meant.
func (d *declared) missing(ref access.Ref, namespace string) error {
	message := fmt.Sprintf("there is no %s in namespace %s", ref, namespace)
	near := access.Nearest(ref.Name, func(yield func(string) bool) {
		for known := range d.names {
			if known.Kind == ref.Kind && !yield(known.Name) {
				return
			}
		}
	})
	if near != "" {
		message += fmt.Sprintf("; did you mean %s?", near)
	}
	return errors.New(message)
}

// person is a user's name with the display name that people know.
func (d *declared) person(name string) string {
	for _, u := range d.Users {
		if u.Name == name && cmp.Or(u.DisplayName, name) != name {
			return fmt.Sprintf("%s (%s)", name, u.DisplayName)
		}
	}
	return name
}

// confirm asks a person to type a word.
func (env *Environment) confirm(refusal, ask, word string) error {
	if !env.Interactive {
		return fmt.Errorf("%s: confirm it with --yes, or run it on a terminal", refusal)
	}
	_, _ = io.WriteString(env.Err, ask+": ")
	typed, err := bufio.NewReader(io.LimitReader(env.In, 1024)).ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		return fmt.Errorf("read the confirmation: %w", err)
	}
	if strings.TrimSpace(typed) != word {
		return fmt.Errorf("that is not %q: nothing was changed", word)
	}
	return nil
}

// create creates an object and makes sure that what is kept is what was asked for.
func (c *cluster) create(ctx context.Context, k kindNames, object v1alpha1.Object) (name string, err error) {
	content, err := contentOf(object)
	if err != nil {
		return "", err
	}
	made, err := c.resource(k.resource).Create(ctx, &unstructured.Unstructured{Object: content}, metav1.CreateOptions{FieldManager: fieldManager})
	if err != nil {
		return "", refusal(k, err)
	}
	for field, want := range content["spec"].(map[string]any) {
		if !equal(made.Object["spec"], field, want) {
			return "", fmt.Errorf("%s/%s: the cluster has changed spec.%s: it is not what was shown here", k.kind, made.GetName(), field)
		}
	}
	return made.GetName(), nil
}

func equal(spec any, field string, want any) bool {
	got, _ := spec.(map[string]any)
	return fmt.Sprint(got[field]) == fmt.Sprint(want)
}

// contentOf is the object as it is sent: without a status, which is the operator's.
func contentOf(object v1alpha1.Object) (map[string]any, error) {
	content, err := runtime.DefaultUnstructuredConverter.ToUnstructured(object)
	if err != nil {
		return nil, fmt.Errorf("write %T: %w", object, err)
	}
	delete(content, "status")
	return content, nil
}

// refusal says in the words of whoever refused why an object was not created.
func refusal(k kindNames, err error) error {
	const denied = " denied request: "
	message := err.Error()
	policy := strings.Index(message, "ValidatingAdmissionPolicy '")
	if at := strings.Index(message, denied); policy >= 0 && at > policy {
		name, _, _ := strings.Cut(message[policy+len("ValidatingAdmissionPolicy '"):], "'")
		return fmt.Errorf("refused by the admission policy %s: %s", name, message[at+len(denied):])
	}
	if apierrors.IsForbidden(err) {
		role := map[access.Kind]string{access.KindApproval: "approver", access.KindRevocation: "revoker"}[k.kind]
		return fmt.Errorf("create the %s: %w\nask for the role crm-access-operator-%s", k.kind, err, role)
	}
	return fmt.Errorf("create the %s: %w", k.kind, err)
}

// generatedName is a prefix for metadata.generateName, so short that the server's five characters fit behind it without
// cutting it. Each part gets its share; what no name may hold becomes a hyphen.
func generatedName(parts ...string) string {
	const longest = 63 - 5
	share := longest/len(parts) - 1
	for i, part := range parts {
		clean := strings.Trim(strings.Map(func(r rune) rune {
			if r < 'a' || r > 'z' {
				if r < '0' || r > '9' {
					return '-'
				}
			}
			return r
		}, strings.ToLower(part)), "-")
		parts[i] = strings.TrimRight(clean[:min(len(clean), share)], "-")
	}
	parts = slices.DeleteFunc(parts, func(part string) bool { return part == "" })
	return strings.Join(append(parts, ""), "-")
}
