package clickhouse

import (
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	ch "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/google/uuid"
	"golang.org/x/sync/errgroup"

	"github.com/earshot/earshot/schemas/sql"
)

// The cache holds what views say as tables, in a database of its own, which is the store's with "_cache" after it: nobody but the owner
// reads it, it need not be in a backup, and it can be dropped at any time. Every table says in its comment what it was made
// of, and that is exchanged together with the rows, in one step of the server's.

// cacheDatabase is where the cached tables are, quoted for use in a statement.
func (s *Store) cacheDatabase() string { return identifier(s.cacheName()) }

func (s *Store) cacheName() string { return CacheDatabase(s.database) }

// CacheDatabase is the name of the database in which what is made of another is cached.
func CacheDatabase(database string) string { return database + "_cache" }

// CacheLook is what a look at the cache finds.
type CacheLook struct {
	Now   time.Time // of the server
	State string    // of what is stored and of the views; it is never again what it was once
	Busy  bool      // rows are being changed, so that what is read now is of no state
	Whole bool      // the cache has everything, made by this program
	AsOf  time.Time // moment of the state it was made of, or of the oldest table's; zero if it is not whole
	Fresh bool      // what it holds is what the views would say now
}

// stamp is a cached table's comment.
var stamp = regexp.MustCompile(`^As of (.+) UTC, state ([0-9a-f]{32}), (\d+) rows$`)

const stampTime = "2006-01-02 15:04:05.000"

// cacheBases are the tables from which cached rows come in the end.
var cacheBases = [...]string{table, "generations", "calendars", "calendar_hours"}

// lookQuery asks for all that cached rows depend on, and for the cache, in one statement of plain reading: summing up in SQL takes
// the server longer than all of this.
func (s *Store) lookQuery() string {
	bases := make([]string, len(cacheBases))
	for i, name := range cacheBases {
		bases[i] = literal(name)
	}
	of := " WHERE database = " + literal(s.database) + " AND table IN (" + strings.Join(bases, ", ") + ")"
	return "SELECT 'part' AS what, table AS name, partition_id AS id, '' AS comment, toInt64(max_block_number) AS last, toInt64OrZero(splitByChar('_', p.name)[5]) AS changed, toInt64(rows) AS n, now64(3, 'UTC') AS now FROM system.parts AS p" + of + " AND active" +
		" UNION ALL SELECT 'rows', table, '', '', 0, 0, toInt64(rows), now64(3, 'UTC') FROM system.parts WHERE active AND database = " + literal(s.cacheName()) +
		" UNION ALL SELECT 'changing', table, '', '', 0, 0, 1, now64(3, 'UTC') FROM system.mutations" + of + " AND NOT is_done" +
		" UNION ALL SELECT if(database = " + literal(s.cacheName()) + ", 'cached', 'object'), name, toString(uuid), comment, 0, 0, 0, now64(3, 'UTC') FROM system.tables" +
		" WHERE database = " + literal(s.cacheName()) + " OR database = " + literal(s.database) + " AND (engine = 'View' OR name IN (" + strings.Join(bases, ", ") + "))"
}

// Cache looks at the cache.
func (s *Store) Cache(ctx context.Context) (look CacheLook, err error) {
	// What the state is made of: of each partition the last block written and the last mutation, which are counted up and never down,
	// and how many rows there are; of each view and base table its identity, which is another one when it is made again. Merging
	// parts changes none of it. The last mutation is read off the names of the parts: the list of mutations forgets one that is killed,
	// and what it has changed stays changed.
	type entry struct{ what, name, id string }
	type numbers struct{ last, changed, n int64 }
	state := map[entry]numbers{}
	comments, rows := map[string]string{}, map[string]int64{}
	err = s.each(ctx, s.lookQuery(), func(row driver.Rows) error {
		var e entry
		var comment string
		var x numbers
		if err := row.Scan(&e.what, &e.name, &e.id, &comment, &x.last, &x.changed, &x.n, &look.Now); err != nil {
			return err
		}
		switch e.what {
		case "cached":
			comments[e.name] = comment
		case "rows":
			rows[e.name] += x.n
		case "changing":
			look.Busy = true
		default:
			was := state[e]
			state[e] = numbers{max(was.last, x.last), max(was.changed, x.changed), was.n + x.n}
		}
		return nil
	})
	if err != nil {
		return look, wrap("look at the cache", err)
	}
	sum := sha256.New()
	for _, e := range slices.SortedFunc(maps.Keys(state), func(a, b entry) int {
		return cmp.Or(cmp.Compare(a.what, b.what), cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
	}) {
		fmt.Fprintln(sum, e.what, e.name, e.id, state[e])
	}
	look.State = hex.EncodeToString(sum.Sum(nil)[:16])
	look.judge(s.cacheDatabase(), comments, rows)
	return look, nil
}

// judge reads what the cached tables and views say of themselves. A table that lost a part has fewer rows than it says.
func (l *CacheLook) judge(database string, comments map[string]string, rows map[string]int64) {
	for _, v := range sql.CachedViews(database) {
		if comments[v.Name] != v.Comment {
			return
		}
	}
	fresh := !l.Busy
	var asOf time.Time
	for _, t := range sql.CachedTables() {
		m := stamp.FindStringSubmatch(comments[t.Name])
		if m == nil || m[3] != strconv.FormatInt(rows[t.Name], 10) {
			return
		}
		at, err := time.Parse(stampTime, m[1])
		if err != nil {
			return // nobody but us writes these: another program's
		}
		if asOf.IsZero() || at.Before(asOf) {
			asOf = at
		}
		fresh = fresh && m[2] == l.State
	}
	l.Whole, l.AsOf, l.Fresh = true, asOf, fresh
}

// Within says whether what is cached may be taken by who takes answers that are up to maxAge old.
func (l *CacheLook) Within(maxAge time.Duration) bool {
	age := l.Now.Sub(l.AsOf) // negative where the server's clock was set back: nobody knows
	return l.Whole && (l.Fresh || maxAge > 0 && age >= 0 && age <= maxAge)
}

// next is the name under which a table is made before it takes the place of the old one.
var next = regexp.MustCompile(`_next_[0-9a-f]{8}$`)

// ErrUnsettled is why a refresh ends when rows are being changed, or somebody drops the cache because they are to be.
var ErrUnsettled = errors.New("rows are being changed: what is cached can be made when that is over (system.mutations)")

// cacheMakers is how many tables are made at a time, each on one thread of the server's: the sooner it is done, the more often
// nothing has changed meanwhile.
const cacheMakers = 2

// RefreshCache makes the cached tables again, each in one step: readers see the old rows or the new ones. Two who do it at once do
// no harm.
func (s *Store) RefreshCache(ctx context.Context) error {
	const op = "refresh the cache"
	// What the look sees is in the tables at the least: they are made after it.
	look, err := s.Cache(ctx)
	if err != nil {
		return err
	}
	if look.Busy {
		return wrap(op, ErrUnsettled)
	}
	if err := s.roomForCache(ctx); err != nil {
		return wrap(op, err)
	}
	if err := s.exec(ctx, "CREATE DATABASE IF NOT EXISTS "+s.cacheDatabase(), nil); err != nil {
		return wrap(op, err)
	}
	if _, err := s.dropCached(ctx, "metadata_modification_time < now() - 3600 AND match(name, "+literal(next.String())+")"); err != nil {
		return wrap(op, err) // what a killed process has left
	}
	of := "As of " + look.Now.UTC().Format(stampTime) + " UTC, state " + look.State
	makers, making := errgroup.WithContext(ctx)
	makers.SetLimit(cacheMakers)
	for _, t := range sql.CachedTables() {
		makers.Go(func() error { return wrap(op+": "+t.Name, s.makeCached(making, t, of)) })
	}
	if err := makers.Wait(); err != nil {
		return err
	}
	if look.Whole {
		return nil
	}
	for _, v := range sql.CachedViews(s.cacheDatabase()) {
		if err := s.exec(ctx, v.Create, nil); err != nil {
			return wrap(op+": "+v.Name, err)
		}
	}
	return nil
}

// cacheRoom is how much of the server's disk is to be left beside what the cache may take: the log and the table come first.
const cacheRoom = 1 << 30

// roomForCache refuses where making the cache could fill the disk. Old and new rows are there at once, table by table.
func (s *Store) roomForCache(ctx context.Context) error {
	var free, cached uint64
	err := s.conn.QueryRow(ctx, "SELECT min(free_space), (SELECT sum(bytes_on_disk) FROM system.parts WHERE active AND database = "+literal(s.cacheName())+
		") FROM system.disks WHERE name = 'default'").Scan(&free, &cached)
	if err == nil && free < cacheRoom+2*cached {
		err = fmt.Errorf("%d MiB of the disk are free, %d are wanted: free some, or set EARSHOT_CACHE_EVERY=0", free>>20, (cacheRoom+2*cached)>>20)
	}
	return err
}

// cachePrefix begins the ids of the statements that make cached tables.
func (s *Store) cachePrefix() string { return "cache-" + s.database + "-" }

// makeCached makes one table; of says of what.
func (s *Store) makeCached(ctx context.Context, t sql.CachedTable, of string) (err error) {
	if ctx.Err() != nil {
		return ctx.Err()
	}
	// Only the filling takes long and can be given up. What it holds is to be forgotten when its customers are, so nothing of it may
	// stay behind when the caller gives up.
	short := func(statement string) error {
		brief, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
		defer cancel()
		return s.exec(brief, statement, nil)
	}
	id := uuid.NewString()
	filling := s.cachePrefix() + id
	name, made := s.cacheDatabase()+"."+t.Name, s.cacheDatabase()+"."+t.Name+"_next_"+id[:8]
	defer func() { err = errors.Join(err, short("DROP TABLE IF EXISTS "+made+" SYNC")) }()
	if err := short(t.Create(made)); err != nil {
		return err
	}
	fill := ch.Context(ctx, ch.WithQueryID(filling), ch.WithSettings(ch.Settings{"max_threads": 1, "max_insert_threads": 1, "async_insert": 0}))
	if err := s.conn.Exec(fill, "INSERT INTO "+made+" SELECT * FROM "+t.Name); err != nil {
		if ctx.Err() != nil { // the server goes on with what nobody waits for
			brief, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Minute)
			defer cancel()
			err = errors.Join(err, s.Kill(brief, filling))
		}
		if code(err) == serverCancelled {
			err = ErrUnsettled
		}
		return err
	}
	var rows uint64
	if err := s.conn.QueryRow(ctx, "SELECT count() FROM "+made).Scan(&rows); err != nil {
		return err
	}
	if err := short(fmt.Sprintf("ALTER TABLE %s MODIFY COMMENT %s", made, literal(fmt.Sprintf("%s, %d rows", of, rows)))); err != nil {
		return err
	}
	if err = short("EXCHANGE TABLES " + made + " AND " + name); code(err) == unknownTable { // there is none yet
		if err = short("RENAME TABLE " + made + " TO " + name); code(err) == unknownTable {
			err = ErrUnsettled
		}
	}
	return err
}

// DropCache removes the cached rows from the server and its disk, and those that somebody is just making; whoever makes them
// afterwards reads what is stored then.
func (s *Store) DropCache(ctx context.Context) error {
	const rows = "engine != 'View'"
	for {
		if err := s.KillAll(ctx, s.cachePrefix()); err != nil {
			return err
		}
		// Once more until there is none: one that was made already may have taken its place in the meantime.
		if dropped, err := s.dropCached(ctx, rows); err != nil || dropped == 0 {
			return wrap("drop the cache", err)
		}
	}
}

// dropCached drops the tables of the cache for which a condition on system.tables holds, and says how many there were.
func (s *Store) dropCached(ctx context.Context, which string) (int, error) {
	var names []string
	err := s.each(ctx, "SELECT name FROM system.tables WHERE database = "+literal(s.cacheName())+" AND "+which, func(row driver.Rows) error {
		var name string
		err := row.Scan(&name)
		names = append(names, name)
		return err
	})
	for _, name := range names {
		if err != nil {
			break
		}
		err = s.exec(ctx, "DROP TABLE IF EXISTS "+s.cacheDatabase()+"."+identifier(name)+" SYNC", nil)
	}
	return len(names), err
}
