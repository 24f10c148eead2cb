package main

import (
	"bytes"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"time"
)

// operator is bin/manager as a process of its own.
type operator struct {
	command *exec.Cmd
	log     string
	// server is the address of its decision API.
	server string
	// done is closed when the process has ended; ended then says how.
	done  chan struct{}
	ended error
}

func startOperator(ctx context.Context, c *cluster, dir string) (*operator, error) {
	address, err := decisionAddress(ctx)
	if err != nil {
		return nil, err
	}
	o := &operator{log: filepath.Join(dir, "manager.log"), server: "http://" + address, done: make(chan struct{})}
	log, err := os.OpenFile(o.log, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return nil, err
	}
	defer log.Close()
	say("Starting the operator: bin/manager (log: %s)", shortened(o.log))
	kubeconfig, err := c.logIn("operator.kubeconfig", operatorAccount, "system:serviceaccounts", "system:authenticated")
	if err != nil {
		return nil, err
	}
	o.command = exec.Command(filepath.Join(programs, "manager"), "--kubeconfig", kubeconfig, "--data-dir", dir,
		"--metrics-bind-address=0", "--health-probe-bind-address=0", "--decision-bind-address", address)
	o.command.Stdout, o.command.Stderr = log, log
	if err := o.command.Start(); err != nil {
		return nil, fmt.Errorf("start bin/manager (make build makes it): %w", err)
	}
	go func() {
		o.ended = o.command.Wait()
		close(o.done)
	}()
	return o, nil
}

// decisionAddress is the decision API's usual one, or a free one where that is taken.
func decisionAddress(ctx context.Context) (string, error) {
	var config net.ListenConfig
	for _, address := range []string{"127.0.0.1:8082", "127.0.0.1:0"} {
		if listener, err := config.Listen(ctx, "tcp", address); err == nil {
			address = listener.Addr().String()
			return address, listener.Close()
		}
	}
	return "", fmt.Errorf("no free port on 127.0.0.1")
}

// kill ends the operator as a crash would.
func (o *operator) kill() {
	_ = o.command.Process.Kill()
	<-o.done
}

// stop ends the operator in order.
func (o *operator) stop() {
	_ = o.command.Process.Signal(os.Interrupt)
	select {
	case <-o.done:
	case <-time.After(10 * time.Second):
		o.kill()
	}
}

// failure is the end of the log, where the operator has ended by itself.
func (o *operator) failure() error {
	select {
	case <-o.done:
		log, _ := os.ReadFile(o.log)
		lines := bytes.Split(bytes.TrimSpace(log), []byte("\n"))
		return fmt.Errorf("the operator ended: %w\n%s", o.ended, bytes.Join(lines[max(0, len(lines)-5):], []byte("\n")))
	default:
		return nil
	}
}

// shortened is a path from the working folder, where it lies below it.
func shortened(path string) string {
	wd, err := os.Getwd()
	if err != nil {
		return path
	}
	if relative, err := filepath.Rel(wd, path); err == nil && filepath.IsLocal(relative) {
		return relative
	}
	return path
}
