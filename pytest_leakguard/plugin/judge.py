"""From a census to cases: what is new, whose it is, whether its verdict can be given yet."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace

from pytest_leakguard import _real
from pytest_leakguard.core.grace import settle
from pytest_leakguard.core.model import Acquisition, Key, Owner, Phase, Verdict, between
from pytest_leakguard.core.verdict import Case
from pytest_leakguard.known import known_by_design
from pytest_leakguard.origins.audit import THREADS_KEPT
from pytest_leakguard.plugin.heirs import Heirs
from pytest_leakguard.plugin.judged import Deferred, Judged, Test, otherwise
from pytest_leakguard.plugin.scopes import WIDTH, Scopes
from pytest_leakguard.plugin.told_threads import ToldThreads, may_have_opened
from pytest_leakguard.plugin.warned import Explain, misclosed, unclosed
from pytest_leakguard.probes.roster import Census
from pytest_leakguard.suspects import Item, Suspect
from pytest_leakguard.watch import Watch


@dataclass(slots=True)
class Judge:
    """Keeps the known set and the put-off verdicts of a session.

    Attributes:
        known: what exists already and is nobody's leak.
        deferred: suspects that a wider scope may still release.
        late: whether what goes only within the grace is told.
        explain: told of each step: the judged test, the suspect, what was decided.
        left: all that leaked so far, with where and by whom it was acquired.
        blamed: what the last judgement found leaked, for the search of its holder.
    """

    watch: Watch
    late: bool = False
    explain: Explain = lambda test, suspect, words: None
    scopes: Scopes = field(default_factory=Scopes)
    known: Census = field(default_factory=dict)
    _census: Census = field(default_factory=dict)
    deferred: dict[Item, Deferred] = field(default_factory=dict)
    blamed: dict[Item, Suspect] = field(default_factory=dict)
    left: dict[Item, Acquisition] = field(default_factory=dict)
    _heirs: Heirs = field(default_factory=Heirs)
    _claims: dict[Item, tuple[Owner, Phase]] = field(default_factory=dict)
    _told_threads: ToldThreads = field(default_factory=ToldThreads)

    def rebase(self) -> None:
        """What exists now was there before: it is nobody's."""
        self.watch.recorder.set_before()
        self._census = self.watch.look_and_mark()
        self.known = dict(self._census)
        self._heirs.reset(self.known.get("fd", ()))
        self.watch.recorder.known = lambda: self.known.get("fd", frozenset())
        self.watch.recorder.has_new = lambda: not self.watch.stillness.as_many_descriptors(self._census)

    def everything(self) -> set[Item]:
        """What exists now."""
        return self.watch.items(self.watch.look())

    def before(self) -> set[Item]:
        """What exists as a set-up or teardown begins; a claim on what is gone does not outlive it.

        An epoll instance, say, can be told from the one before it by its number only. Sockets can, and `_new` has
        to hear of those that vanished.
        """
        found = self.everything()
        for item in [item for item in self._claims if item[0] != "socket" and item not in found]:
            del self._claims[item]
        return found

    def claim(self, before: Collection[Item], owner: Owner, phase: Phase = "setup") -> None:
        """What is new since a scope's set-up began is its own, recorded or not; of a teardown, what has no record."""
        self.watch.recorder.resolve()  # before anybody closes its sockets, or the one of two files that is still open
        for item in self.everything().difference(before):
            if item[0] != "unclosed":
                self._claims.setdefault(item, (owner, phase))

    def tell(self, items: Collection[Item]) -> None:
        """These were told already, by a check inside the test: they are known from now on."""
        for kind, key in items:
            if kind == "unclosed":
                self.watch.unclosed.forget(key)
            elif kind == "object":
                self.watch.objects.forget(key)
            elif kind == "task":
                self.watch.tasks.forget(key)
            elif kind == "state":
                self.watch.state.told(key)
            else:
                self._know(kind, key)
                if kind == "temp":
                    self.watch.recorder.created.pop(str(key), None)

    def know(self, kind: str, keys: frozenset[Key]) -> None:
        """These were there before: nobody's."""
        self.known[kind] = self.known.get(kind, frozenset()) | keys

    def is_still(self, *, thorough: bool = False) -> bool:
        """Whether certainly nothing has changed since the last look."""
        return self.watch.stillness.holds(self._census, thorough=thorough)

    def needs_to_judge(self, descriptors: int) -> bool:
        """After a test in which something moved: whether there is anything to judge.

        Lets go of what is gone, and remembers that the rest is known.

        Args:
            descriptors: how many are open now.
        """
        watch = self.watch
        if watch.ledger.ended or watch.unclosed.kept or watch.closes.kept:
            return True
        # a socket that a fixture opened and the same test closed under it leaves all as it was before both
        may_have_gone = bool(self._claims) and any(kind == "socket" for kind, _ in self._claims)
        if not may_have_gone and watch.stillness.holds(self._census, descriptors=descriptors):
            return False
        return bool(self._new() or watch.closes.kept)

    def judge(self, test: Test) -> list[Judged]:
        """The cases that fall due at the end of a test; its young garbage has been collected."""
        # asked first: a thread that ends after the collection may have let go what is garbage since
        others = self.watch.may_still_change(self._told_threads)
        ended = self.watch.ledger.take_ended()
        suspects = self._suspects(test, bool(ended))
        now = self._classify(test, suspects)
        now += self._due(test, ended)
        return self._told(test, now, others)

    def end(self, test: Test) -> list[Judged]:
        """After the last teardown nothing can release anything any more: judge what was put off."""
        for owner in self.watch.ledger.alive():
            self.watch.ledger.closed(owner)
            self.scopes.drop(owner.serial)
        _real.gc_collect()
        tasks = {item for item in self._new() if item[0] == "task"}  # the last test may have put them off
        due = self._due(test, self.watch.ledger.take_ended() | {0})
        if tasks:
            due += self._classify(test, self.watch.examine(tasks, otherwise(test)))
        others = self.watch.may_still_change(self._told_threads)
        return self._told(test, due, others)

    def _told(self, test: Test, due: list[Deferred], others: bool) -> list[Judged]:
        cases = self._settled(due, test.grace_seconds, others)
        cases += unclosed(self.watch, test, self.explain)
        cases += misclosed(self.watch, test)
        self._remember(due)
        return cases

    # -- what is new ---------------------------------------------------------

    def _new(self) -> set[Item]:
        census = self._census = self.watch.look_and_mark()
        new: set[Item] = set()
        for kind, keys in census.items():
            known = self.known.get(kind)
            if keys == known or kind == "unclosed":
                continue
            known = known or frozenset()
            if kind == "fd":
                known |= self._heirs.of(known, keys)
            elif kind == "object":
                known |= self.watch.objects.heirs(known, keys)
            elif kind == "socket" and not known <= keys:
                self.watch.closes.vanished(known - keys)
            fresh = {key for key in keys - known if (kind, key) not in self.deferred}
            new.update((kind, key) for key in fresh)
            self.known[kind] = frozenset(keys & known)
        if self.deferred:
            gone = [item for item in self.deferred if item[1] not in census.get(item[0], ())]
            self.watch.closes.vanished(key for kind, key in gone if kind == "socket")
            for item in gone:
                self._release(item)
        if self._claims:
            sockets = census.get("socket", frozenset())
            gone = [item for item in self._claims if item[0] == "socket" and item[1] not in sockets]
            self.watch.closes.vanished(key for _, key in gone)
            for item in gone:
                del self._claims[item]
        return new

    def _suspects(self, test: Test, has_ended: bool) -> list[Suspect]:
        """What is new, explained; the heap is asked only about what may be a test's own.

        Before a test is blamed all that could die does so: only then the cost
        follows the size of the heap.
        """
        new = self._new()
        sketched = self.watch.sketch(new, otherwise(test)) if new else []
        own = {s.item for s in sketched if s.acquisition.owner.kind == "test" and s.item not in self._claims}
        if own or (has_ended and any(map(self._is_due, self.deferred.values()))):
            _real.gc_collect()
            new = self._new()
            own &= new
        rest = [suspect for suspect in sketched if suspect.item in new and suspect.item not in own]
        late = new - {suspect.item for suspect in sketched}
        return [*rest, *self.watch.examine(own | late, otherwise(test))] if own or late else rest

    def _know(self, kind: str, key: Key) -> None:
        self.known[kind] = self.known.get(kind, frozenset()) | {key}
        if kind == "fd":
            self._heirs.add(key)

    def _release(self, item: Item) -> None:
        """A suspect is gone by itself: never mentioned."""
        deferred = self.deferred.pop(item)
        self.explain(deferred.test.name, deferred.suspect, "no leak: gone before its verdict fell due")
        record = deferred.suspect.record
        if record is not None:
            record.pinned = False

    # -- whose it is ---------------------------------------------------------

    def _classify(self, test: Test, suspects: list[Suspect]) -> list[Deferred]:
        """New resources: nobody's, to be judged now, or put off until a wider scope ends."""
        if not suspects:
            return []
        by_design = {**known_by_design(suspects), **self._of_told_threads(suspects)}
        now: list[Deferred] = []
        searched: list[Suspect] = []
        for suspect in suspects:
            claim = self._claims.pop(suspect.item, None)
            if claim is not None and suspect.acquisition.owner.kind != "nobody":
                scope, phase = claim
                if phase == "setup" or suspect.record is None:
                    first_test = self.watch.ledger.first_test(scope)
                    suspect.acquisition = _owned_by(suspect.acquisition, scope, phase, first_test)
            owner = suspect.acquisition.owner
            if owner.kind == "nobody" or suspect.item in by_design or _is_part_of_blamed(suspect):
                reason = by_design.get(
                    suspect.item, "nobody's" if owner.kind == "nobody" else "a part of what was told"
                )
                self.explain(test.name, suspect, f"no leak: {reason}")
                self._know(*suspect.item)
            elif owner.kind == "test" and (suspect.resource.ended or suspect.item[0] == "state"):
                # over already, or the next test finds it changed, whoever puts it back later
                now.append(Deferred(suspect, test))
            elif owner.kind == "test":
                searched.append(suspect)
            elif self.watch.ledger.is_alive(owner.serial):
                self._defer(Deferred(suspect, test, frozenset({owner.serial})))
            else:
                now.append(Deferred(suspect, test))
        awaited = self.scopes.awaited(searched, test.requested.__contains__)
        for suspect in searched:
            awaits = awaited[suspect.item]
            if awaits:
                self._defer(Deferred(suspect, test, awaits, self._widest(awaits)))
            else:
                now.append(Deferred(suspect, test))
        for suspect in suspects:
            suspect.live = None
        return now

    def _of_told_threads(self, suspects: list[Suspect]) -> dict[Item, str]:
        """What a thread may have opened that an earlier test has left: that test was told of the thread."""
        unseen = [one.item for one in suspects if may_have_opened(one.item[0], one.record)]
        if not unseen or not self._told_threads:
            return {}
        with self.watch.recorder.silence():  # what it reads is no test's
            has_run = self._told_threads.have_run(self._census.get("thread", ()))
        if not has_run:
            return {}
        return dict.fromkeys(unseen, "a thread that an earlier test left has run, and may have opened it")

    def _defer(self, deferred: Deferred) -> None:
        suspect = deferred.suspect
        suspect.live = None
        awaited = deferred.awaited or suspect.acquisition.owner
        self.explain(deferred.test.name, suspect, f"put off until {awaited.name!r} ({awaited.scope} scope) is over")
        if suspect.record is not None:
            suspect.record.pinned = True
        self.deferred[suspect.item] = deferred

    def _widest(self, awaits: frozenset[int]) -> Owner | None:
        owners = [owner for serial in awaits if (owner := self.scopes.owner(serial)) is not None]
        return max(owners, key=lambda owner: WIDTH.get(owner.scope, 0), default=None)

    def _due(self, test: Test, ended: frozenset[int]) -> list[Deferred]:
        """Put-off verdicts whose last scope has ended, unless a wider one reaches the resource too."""
        if not ended or not self.deferred:
            return []
        due = [deferred for deferred in self.deferred.values() if self._is_due(deferred)]
        for deferred in due:
            del self.deferred[deferred.suspect.item]
        asked = {d.suspect.item: d for d in due if d.suspect.acquisition.owner.kind == "test"}
        if asked and self.scopes:
            for seen in self.watch.examine(asked, next(iter(asked.values())).suspect.acquisition):
                asked[seen.item].suspect.live = seen.live
            suspects = [deferred.suspect for deferred in asked.values()]
            again = self.scopes.awaited(suspects, test.requested.__contains__, among=frozenset())
            for item, awaits in again.items():
                asked[item].suspect.live = None
                if awaits:
                    due.remove(asked[item])
                    self._defer(Deferred(asked[item].suspect, asked[item].test, awaits, self._widest(awaits)))
        return due

    def _is_due(self, deferred: Deferred) -> bool:
        """Whether all that a verdict waited for has ended."""
        return not any(self.watch.ledger.is_alive(serial) for serial in deferred.awaits)

    # -- is it over ----------------------------------------------------------

    def _settled(self, due: list[Deferred], grace_seconds: float, others: bool) -> list[Judged]:
        """Look again with growing waits; what is still there is leaked, what went after a wait is late.

        Args:
            others: another thread may still release something.
        """
        self.blamed = {}
        if not due:
            return []
        watch = self.watch
        wanted = {deferred.suspect.item: deferred for deferred in due}

        def look() -> set[Item]:
            watch.young.collect()
            return set(wanted) - watch.gone(wanted)

        # what nothing but this thread could release needs no patience, nor does state: it is read no more
        patient = others and any(map(watch.may_end, wanted))
        grace = grace_seconds if patient else 0.0
        settled = settle(look, grace, sleep=_real.sleep, clock=_real.monotonic, collect=_real.gc_collect)
        self._forget_in_census(wanted.keys() - settled.left)
        judged = []
        for item, deferred in wanted.items():
            suspect = deferred.suspect
            verdict: Verdict = "late"
            if item in settled.left:
                verdict = "leaked"
                self._know(*item)  # blamed once: it is known from now on
                self.blamed[item] = suspect
                self.left[item] = suspect.acquisition
                watch.keep_sight(suspect)
                if item[0] == "thread":
                    with watch.recorder.silence():
                        self._told_threads.add(item)
            patience = f"{settled.looks} look{'s' if settled.looks != 1 else ''} in {settled.seconds:.2g} s"
            self.explain(
                deferred.test.name, suspect, f"{verdict if verdict == 'leaked' else 'gone by now'}, {patience}"
            )
            if verdict == "late" and (settled.looks == 1 or not self.late):
                continue
            case = Case(
                resource=watch.describe_now(suspect) if verdict == "leaked" else suspect.resource,
                acquisition=_acquisition_of(deferred), verdict=verdict, awaited=deferred.awaited,
                looks=settled.looks, seconds=settled.seconds, mark=suspect.mark,
            )  # fmt: skip
            judged.append(Judged(case, deferred.test))
        return judged

    def _forget_in_census(self, gone: Collection[Item]) -> None:
        """These went after the last look: one that takes the same number on the same file is another."""
        for kind, key in gone:
            self._census = {**self._census, kind: self._census.get(kind, frozenset()) - {key}}

    def _remember(self, judged: list[Deferred]) -> None:
        """Each is told once, whether it is still there or went late."""
        watch = self.watch
        for deferred in judged:
            suspect = deferred.suspect
            if suspect.record is not None:
                suspect.record.pinned, suspect.record.blamed = False, True
            if suspect.item[0] == "object":
                watch.objects.forget(suspect.item[1])
            elif suspect.item[0] == "task":
                watch.tasks.forget(suspect.item[1])
            elif suspect.item[0] == "state":
                watch.state.told(suspect.item[1])
        self.tidy()

    def tidy(self) -> None:
        """Drop the records that can't explain anything any more."""
        recorder = self.watch.recorder
        if recorder.created:
            waiting = {key for kind, key in self.deferred if kind == "temp"}
            recorder.created.keep(waiting)
        if not recorder.forget_all(THREADS_KEPT):  # nearly always there is nothing to keep
            recorder.forget()


def _is_part_of_blamed(suspect: Suspect) -> bool:
    # a part that came later: what it belongs to was told once
    return suspect.record is not None and suspect.record.blamed


def _owned_by(acquisition: Acquisition, owner: Owner, phase: Phase, first_test: str) -> Acquisition:
    return Acquisition(
        owner=owner, test=first_test or acquisition.test, phase=acquisition.phase or phase, origin=acquisition.origin
    )


def _acquisition_of(deferred: Deferred) -> Acquisition:
    """What is told of the acquisition: no single test is blamed when any of several may be at fault."""
    acquisition, test = deferred.suspect.acquisition, deferred.test
    if test.since and deferred.suspect.record is None and acquisition.owner.kind == "test":
        return replace(acquisition, owner=between(test.since, test.name), phase=None)
    return acquisition
