"""The API-test language and what a run yields, as frozen values. No IO, no clock."""
