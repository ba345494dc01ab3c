package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"strings"

	"github.com/google/go-containerregistry/pkg/authn"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	utilerrors "k8s.io/apimachinery/pkg/util/errors"
	"k8s.io/client-go/kubernetes"
	"k8s.io/client-go/tools/clientcmd"
	"k8s.io/kubernetes/pkg/credentialprovider"
	credentialsecrets "k8s.io/kubernetes/pkg/credentialprovider/secrets"
	"k8s.io/kubernetes/pkg/util/parsers"
)

type names []string

func (n *names) String() string { return strings.Join(*n, ",") }

func (n *names) Set(value string) error {
	*n = append(*n, value)
	return nil
}

type pullOptions struct {
	kubeconfig, namespace, pod, serviceAccount, image string
	secrets                                           names
	logins                                            bool
}

const pullUsage = `usage: rig pull --kubeconfig K --namespace N --pod P [--image I]
       rig pull --kubeconfig K --namespace N --service-account S [--secret NAME]... --image I

Pulls an image as kubelet does: the pull Secrets of the pod go through kubelet's own keyring, each credential that it
finds for the image is tried, without any the pull is anonymous. Prints the digest and exits 0, or says ErrImagePull and
exits 1. With --service-account the pod is imagined: one that names the given Secrets, or, since admission fills in a pod
that names none, one with the ServiceAccount's. $SSL_CERT_FILE names a private certificate authority. With --logins
nothing is pulled: the user names that the keyring finds for the image are printed, in its order.

`

func pull(ctx context.Context, args []string) int {
	var o pullOptions
	flags := flag.NewFlagSet("pull", flag.ContinueOnError)
	flags.StringVar(&o.kubeconfig, "kubeconfig", os.Getenv("KUBECONFIG"), "how to reach the API server")
	flags.StringVar(&o.namespace, "namespace", "default", "where the pod is")
	flags.StringVar(&o.pod, "pod", "", "the pod whose imagePullSecrets count")
	flags.StringVar(&o.serviceAccount, "service-account", "default", "the ServiceAccount of an imagined pod")
	flags.Var(&o.secrets, "secret", "a name in the imagined pod's imagePullSecrets; may be given often")
	flags.StringVar(&o.image, "image", "", "what to pull; default the pod's first image")
	flags.BoolVar(&o.logins, "logins", false, "print the user names that are found for the image and pull nothing")
	flags.Usage = func() {
		fmt.Fprint(flags.Output(), pullUsage)
		flags.PrintDefaults()
	}
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return 0
		}
		return 2
	}
	said, err := o.run(ctx)
	if err != nil {
		fmt.Fprintf(os.Stderr, "ErrImagePull: failed to pull image %q: %v\n", o.image, err)
		return 1
	}
	fmt.Print(said)
	return 0
}

func (o *pullOptions) run(ctx context.Context) (string, error) {
	config, err := clientcmd.BuildConfigFromFlags("", o.kubeconfig)
	if err != nil {
		return "", err
	}
	client, err := kubernetes.NewForConfig(config)
	if err != nil {
		return "", err
	}
	references, err := o.references(ctx, client)
	if err != nil {
		return "", err
	}
	logins, err := lookUp(o.image, o.read(ctx, client, references))
	if err != nil {
		return "", err
	}
	if o.logins {
		var text strings.Builder
		for _, login := range logins {
			fmt.Fprintln(&text, login.Username)
		}
		return text.String(), nil
	}
	digest, err := pullWith(ctx, o.image, logins)
	return fmt.Sprintln(digest), err
}

// references lists the names in the pod's imagePullSecrets.
func (o *pullOptions) references(ctx context.Context, client kubernetes.Interface) ([]string, error) {
	var list []corev1.LocalObjectReference
	switch {
	case o.pod != "":
		pod, err := client.CoreV1().Pods(o.namespace).Get(ctx, o.pod, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		if o.image == "" && len(pod.Spec.Containers) > 0 {
			o.image = pod.Spec.Containers[0].Image
		}
		list = pod.Spec.ImagePullSecrets
	case len(o.secrets) > 0:
		return o.secrets, nil
	default:
		account, err := client.CoreV1().ServiceAccounts(o.namespace).Get(ctx, o.serviceAccount, metav1.GetOptions{})
		if err != nil {
			return nil, err
		}
		list = account.ImagePullSecrets
	}
	var result []string
	for _, reference := range list {
		// Validation lets entries without a name through; kubelet ignores them.
		if reference.Name != "" {
			result = append(result, reference.Name)
		}
	}
	return result, nil
}

// read reads the Secrets. One that is missing is no error to kubelet: it warns and tries without.
func (o *pullOptions) read(ctx context.Context, client kubernetes.Interface, references []string) []corev1.Secret {
	var found []corev1.Secret
	var missing []string
	for _, reference := range references {
		secret, err := client.CoreV1().Secrets(o.namespace).Get(ctx, reference, metav1.GetOptions{})
		if err != nil {
			missing = append(missing, reference)
			continue
		}
		found = append(found, *secret)
	}
	if len(missing) > 0 {
		fmt.Fprintf(os.Stderr, "FailedToRetrieveImagePullSecret: Unable to retrieve some image pull secrets (%s); "+
			"attempting to pull the image may not succeed.\n", strings.Join(missing, ", "))
	}
	return found
}

// lookUp gives the credentials that kubelet's keyring finds for the image, in its order.
func lookUp(image string, found []corev1.Secret) ([]credentialprovider.TrackedAuthConfig, error) {
	repository, _, _, err := parsers.ParseImageName(image)
	if err != nil {
		return nil, fmt.Errorf("InvalidImageName: %w", err)
	}
	keyring, err := credentialsecrets.MakeDockerKeyring(found, &credentialprovider.BasicDockerKeyring{})
	if err != nil {
		return nil, err
	}
	logins, _ := keyring.Lookup(repository)
	return logins, nil
}

// pullWith tries each credential in its order, and none when there is none.
func pullWith(ctx context.Context, image string, logins []credentialprovider.TrackedAuthConfig) (v1.Hash, error) {
	reference, err := name.ParseReference(image)
	if err != nil {
		return v1.Hash{}, fmt.Errorf("InvalidImageName: %w", err)
	}
	if len(logins) == 0 {
		return fetch(ctx, reference, authn.Anonymous)
	}
	var failures []error
	for _, login := range logins {
		digest, err := fetch(ctx, reference, authn.FromConfig(authn.AuthConfig{
			Username:      login.Username,
			Password:      login.Password,
			Auth:          login.Auth,
			IdentityToken: login.IdentityToken,
			RegistryToken: login.RegistryToken,
		}))
		if err == nil {
			return digest, nil
		}
		failures = append(failures, err)
	}
	return v1.Hash{}, utilerrors.NewAggregate(failures)
}
