import KubeTesting
import Testing

@testable import KubeRuntime

struct QueueScheduleTests {
    func at(_ seconds: Int) -> AnyClock.Instant { AnyClock.Instant(offset: .seconds(seconds)) }

    @Test func `a change comes before first looks and does not keep them from their turn`() {
        var schedule = QueueSchedule<String>()
        for name in ["b1", "b2", "b3"] { schedule.add(name, lane: .background, at: at(0)) }
        for number in 1...9 { schedule.add("c\(number)", at: at(1)) }
        var order: [String] = []
        while let (key, _) = schedule.take() {
            order.append(key)
            schedule.finish(key)
        }
        #expect(order == ["c1", "c2", "c3", "c4", "b1", "c5", "c6", "c7", "c8", "b2", "c9", "b3"])
    }

    @Test func `a key in the background comes forward when something happens to it, and has waited since`() {
        var schedule = QueueSchedule<String>()
        for name in ["b1", "b2"] { schedule.add(name, lane: .background, at: at(0)) }
        schedule.add("b2", at: at(5))
        schedule.add("b2", lane: .background, at: at(6))
        #expect(schedule.readyCount == 2)
        let first = schedule.take()
        #expect(first?.key == "b2" && first?.since == at(0))
        #expect(schedule.take()?.key == "b1")
        #expect(schedule.take() == nil)
    }

    @Test func `coming forward never costs a key its place`() {
        var schedule = QueueSchedule<String>()
        schedule.add("b", lane: .background, at: at(0))
        for number in 0..<20 { schedule.add("c\(number)", at: at(1)) }
        schedule.add("b", at: at(2))
        var order: [String] = []
        while let (key, _) = schedule.take() {
            order.append(key)
            schedule.finish(key)
        }
        #expect(order.firstIndex(of: "b") == 4 && order.filter { $0 == "b" }.count == 1 && order.count == 21)
    }

    @Test func `a key that comes back at once lets the others go first`() {
        var schedule = QueueSchedule<String>()
        for name in ["greedy", "a", "b"] { schedule.add(name, at: at(0)) }
        var order: [String] = []
        for _ in 0..<6 {
            guard let (key, _) = schedule.take() else { break }
            order.append(key)
            schedule.add("greedy", at: at(1))
            schedule.finish(key)
            if key != "greedy" { schedule.add(key, at: at(1)) }
        }
        #expect(order == ["greedy", "a", "b", "greedy", "a", "b"])
    }

    @Test func `times that earlier ones replaced do not pile up`() {
        var schedule = QueueSchedule<Int>()
        for round in 0..<1000 {
            for key in 0..<10 { schedule.add(key, due: at(100_000 - round)) }
        }
        #expect(schedule.delayedCount == 10 && schedule.timerCount <= 2 * 10 + 65)
        #expect(schedule.nextDue == at(99_001))
    }

    /// The rules in their plainest form, slow and obvious.
    struct Model {
        var changed: [Int] = []
        var background: [Int] = []
        var since: [Int: Int] = [:]
        var due: [Int: (time: Int, number: Int)] = [:]
        var number = 0
        var inWork: Set<Int> = []
        var again: [Int: Int] = [:]

        mutating func add(_ key: Int, isBackground: Bool, at now: Int) {
            due[key] = nil
            if inWork.contains(key) {
                again[key] = again[key] ?? now
            } else if since[key] == nil {
                since[key] = now
                if isBackground { background.append(key) } else { changed.append(key) }
            } else if !isBackground, !changed.contains(key) {
                changed.append(key)
            }
        }

        mutating func add(_ key: Int, due time: Int) {
            if since[key] != nil || again[key] != nil { return }
            if let known = due[key], known.time <= time { return }
            number += 1
            due[key] = (time, number)
        }

        mutating func wake(at now: Int) {
            for (key, (time, _)) in due.sorted(by: { $0.value < $1.value }) where time <= now {
                add(key, isBackground: false, at: time)
            }
        }

        mutating func finish(_ key: Int) {
            inWork.remove(key)
            if let time = again.removeValue(forKey: key) { add(key, isBackground: false, at: time) }
        }
    }

    /// Random operations against the model: every take is one that the rules allow, and nothing is lost at the end.
    @Test(arguments: 0..<200 as Range<UInt64>)
    func `random use keeps the rules`(_ seed: UInt64) {
        var random = SeededRandom(seed: seed)
        var schedule = QueueSchedule<Int>()
        var model = Model()
        var now = 0
        var takes = 0
        /// For each waiting key: by which take its turn comes at the latest.
        var latest: [Int: Int] = [:]

        func take() {
            guard let (key, since) = schedule.take() else {
                #expect(model.since.isEmpty, "seed \(seed)")
                return
            }
            takes += 1
            #expect(model.changed.first == key || model.background.first == key, "seed \(seed): not \(key)'s turn")
            #expect(model.since.removeValue(forKey: key).map(at) == since, "seed \(seed)")
            model.changed.removeAll { $0 == key }
            model.background.removeAll { $0 == key }
            let isNew = model.inWork.insert(key).inserted
            #expect(isNew, "seed \(seed): \(key) is worked on twice")
            #expect(takes <= latest.removeValue(forKey: key) ?? 0, "seed \(seed): \(key) starved")
        }

        for _ in 0..<400 {
            let key = Int.random(in: 0..<12, using: &random)
            switch Int.random(in: 0..<10, using: &random) {
            case 0...2:
                let isBackground = Bool.random(using: &random)
                schedule.add(key, lane: isBackground ? .background : .changed, at: at(now))
                model.add(key, isBackground: isBackground, at: now)
            case 3...4:
                let due = now + Int.random(in: 1..<60, using: &random)
                schedule.add(key, due: at(due))
                model.add(key, due: due)
            case 5:
                now += Int.random(in: 0..<20, using: &random)
                schedule.wake(at: at(now))
                model.wake(at: now)
            case 6...7: take()
            default:
                guard let key = model.inWork.sorted().randomElement(using: &random) else { continue }
                schedule.finish(key)
                model.finish(key)
            }
            for lane in [model.changed, model.background] {
                for (index, key) in lane.enumerated() where latest[key] == nil { latest[key] = takes + 5 * (index + 1) }
            }
            #expect(schedule.readyCount == model.since.count, "seed \(seed)")
            #expect(schedule.delayedCount == model.due.count, "seed \(seed)")
            #expect(schedule.nextDue == model.due.values.map(\.time).min().map(at), "seed \(seed)")
        }
        // Whatever was added comes out.
        for key in model.inWork {
            schedule.finish(key)
            model.finish(key)
        }
        schedule.wake(at: at(now + 1000))
        let owed = Set(model.since.keys).union(model.due.keys)
        var given: Set<Int> = []
        while let (key, _) = schedule.take() { given.insert(key) }
        #expect(given == owed, "seed \(seed)")
    }
}
