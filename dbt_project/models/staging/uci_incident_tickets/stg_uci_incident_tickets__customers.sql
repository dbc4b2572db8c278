-- Callers, one row each. The crosswalk is INVENTED: the log and the shop are two companies' and share no customers.
-- Caller n is taken for the shop's customer 12345 + n; a number that the shop has not given away is a customer of
-- its own, who only calls.
with events as (

    select * from {{ ref('stg_uci_incident_tickets__events') }}

)

select
    cast(caller_number as varchar) as source_customer_id,
    'Caller ' || cast(caller_number as varchar) as customer_name,
    cast(null as varchar) as industry,
    cast(null as varchar) as company_size,
    cast(null as varchar) as region,
    cast(null as varchar) as owner_name,
    min(caller) as contact_name,
    cast(null as varchar) as phone,
    cast(null as varchar) as email,
    cast(null as varchar) as tax_id,
    'business' as customer_kind,
    cast(min(opened_at) as date) as registered_on,
    'online_retail' as linked_source,
    cast(12345 + caller_number as varchar) as linked_customer_id
from events
group by caller_number
