package gpbackup

import "errors"

// What can be wrong with a set. Errors of this package wrap one of these, or the error of a file.
var (
	// ErrNotSet says that there is no set of gpbackup.
	ErrNotSet = errors.New("not a backup set of gpbackup")
	// ErrIncomplete says that files of the set are missing, or cut off.
	ErrIncomplete = errors.New("the backup set is not complete")
	// ErrDamaged says that a file holds what no gpbackup writes.
	ErrDamaged = errors.New("the backup set is damaged")
	// ErrChoice says that there are several sets, and one must be named.
	ErrChoice = errors.New("there are several backup sets")
	// ErrEncoding says that rows are in an encoding that this package can't take apart.
	ErrEncoding = errors.New("the rows of the backup set can't be read")
	// ErrUndecided says that nothing tells whether the segments' files of a table are parts of it or copies.
	ErrUndecided = errors.New("it can't be told whether each segment has all rows of the table or a part of them")
)
