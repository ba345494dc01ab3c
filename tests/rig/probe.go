package main

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"net/http"
	"os"
	"time"

	clientcmd "k8s.io/client-go/tools/clientcmd"
	clientcmdapi "k8s.io/client-go/tools/clientcmd/api"
)

// probeInterval is short beside the seconds that a start takes.
const probeInterval = 20 * time.Millisecond

// probe asks servers whether they answer. It trusts the control plane's own authority only.
type probe struct {
	client *http.Client
	token  string
}

func newProbe(creds *credentials) (*probe, error) {
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(creds.ca) {
		return nil, errors.New("the certificate authority just made cannot be read")
	}
	return &probe{
		client: &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots}}},
		token:  creds.token,
	}, nil
}

// until asks for a page until it is there and says what it saw last when time is up.
func (p *probe) until(ctx context.Context, url string) error {
	for {
		err := p.once(ctx, url)
		if err == nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for %s: %w", url, err)
		case <-time.After(probeInterval):
		}
	}
}

func (p *probe) once(ctx context.Context, url string) error {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	request.Header.Set("Authorization", "Bearer "+p.token)
	answer, err := p.client.Do(request)
	if err != nil {
		return err
	}
	defer answer.Body.Close()
	if answer.StatusCode != http.StatusOK {
		return errors.New(answer.Status)
	}
	return nil
}

// writeKubeconfig writes a kubeconfig with the administrator's token.
func writeKubeconfig(path, server string, creds *credentials) error {
	config := clientcmdapi.NewConfig()
	config.Clusters["rig"] = &clientcmdapi.Cluster{Server: server, CertificateAuthorityData: creds.ca}
	config.AuthInfos["admin"] = &clientcmdapi.AuthInfo{Token: creds.token}
	config.Contexts["rig"] = &clientcmdapi.Context{Cluster: "rig", AuthInfo: "admin", Namespace: "default"}
	config.CurrentContext = "rig"
	content, err := clientcmd.Write(*config)
	if err != nil {
		return err
	}
	return os.WriteFile(path, content, 0o600)
}
