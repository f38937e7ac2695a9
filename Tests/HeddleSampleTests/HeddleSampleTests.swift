import Testing

@testable import heddle_sample
