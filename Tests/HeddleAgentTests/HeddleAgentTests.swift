import Testing

@testable import heddle_agent
