//! The wire between relctl and reld: requests, responses, events and a client
