package main

import (
	"context"
	"errors"
	"flag"
	"fmt"

	"github.com/earshot/earshot/sinks/clickhouse"
)

type migrateOptions struct{ dryRun, status bool }

func migrateCommand() command {
	return command{
		name: "migrate", summary: "bring the ClickHouse schema up to date",
		help: "Applies what is missing, in order, once. 'up' and 'process' do it at their start; run it alone before an upgrade.\nExample: earshot migrate --dry-run",
		flags: func(fs *flag.FlagSet) any {
			o := &migrateOptions{}
			fs.BoolVar(&o.dryRun, "dry-run", false, "print the SQL instead of running it")
			fs.BoolVar(&o.status, "status", false, "list the migrations and whether they are applied")
			return o
		},
		run: func(ctx context.Context, env *environment, opts any, args []string) (err error) {
			if err := nothingAfter(args); err != nil {
				return err
			}
			var opened closers
			defer func() { err = opened.closeAfter(err) }()
			log := newLogger(&env.config, env.stderr).Level(warnLevel)
			if env.config.ClickhouseDSN.Reveal() == "" { // a first migration may come before the first start
				if err := prepareDataDir(&env.config); err != nil {
					return err
				}
			}
			store, s, err := locateStore(ctx, env, log, &opened)
			if err != nil {
				return err
			}
			return runMigrate(ctx, env, store, s.engine, opts.(*migrateOptions))
		},
	}
}

// prepareDataDir makes the data folder what locate expects one to be.
func prepareDataDir(c *Config) error {
	dir, err := c.makeDataDir()
	if err != nil {
		return err
	}
	lock, err := lockDataDir(dir)
	if errors.Is(err, errLocked) {
		return nil // a node runs on it
	}
	if err != nil {
		return err
	}
	return lock.Close()
}

func runMigrate(ctx context.Context, env *environment, store *clickhouse.Store, sole bool, o *migrateOptions) error {
	if o.status {
		list, err := store.Status(ctx)
		if err != nil {
			return err
		}
		for _, m := range list {
			fmt.Fprintf(env.stdout, "%4d  %-32s  %s\n", m.Version, m.Name, m.Status)
		}
		return nil
	}
	mo := clickhouse.MigrateOptions{Sole: sole}
	if o.dryRun {
		mo.DryRun = env.stdout
	}
	applied, err := store.Migrate(ctx, mo)
	if err != nil {
		return err
	}
	if o.dryRun {
		return nil
	}
	for _, m := range applied {
		fmt.Fprintf(env.stdout, "applied %4d  %-28s (%s)\n", m.Version, m.Name, m.Reason)
	}
	fmt.Fprintf(env.stdout, "the schema is up to date (%d applied)\n", len(applied))
	return nil
}
