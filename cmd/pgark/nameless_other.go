//go:build !linux

package main

import "errors"

// createNameless is createOut where there are no files without names.
func (a *app) createNameless(name string, force bool) (*outFile, error) {
	return a.createOut(name, force)
}

func (o *outFile) nameIt() error { return errors.ErrUnsupported }
